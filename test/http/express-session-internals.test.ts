import { expressSessionContract } from "../contract/express-session.js";

expressSessionContract("newest");
