import { serverContract } from "../../contract/server.js";
import { engineIo } from "../../support/servers.js";

serverContract(engineIo);
