import { serverContract } from "../../contract/server.js";
import { webSocket } from "../../support/servers.js";

serverContract(webSocket);
