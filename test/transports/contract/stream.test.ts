import { serverContract } from "../../contract/server.js";
import { stream } from "../../support/servers.js";

serverContract(stream);
