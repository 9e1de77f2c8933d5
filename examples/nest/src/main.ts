import "reflect-metadata";
import { NestFactory } from "@nestjs/core";
import { SessionIoAdapter, Sessions } from "socket-session/nest";
import { AppModule } from "./app.module.js";
import { isLoggedIn } from "./session.js";

const app = await NestFactory.create(AppModule);
app.useWebSocketAdapter(new SessionIoAdapter(app, { allow: isLoggedIn }));
// The script of the page, and its view.
app.use("/session", app.get(Sessions).routes);
app.enableShutdownHooks();
await app.listen(process.env.PORT ?? 3000);
