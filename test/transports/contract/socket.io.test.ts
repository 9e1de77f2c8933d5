import { serverContract } from "../../contract/server.js";
import { socketIo } from "../../support/servers.js";

serverContract(socketIo);
