import { join } from "node:path";
import { Controller, Get, HttpCode, Post, Req, Res, UseGuards } from "@nestjs/common";
import type { Request, Response } from "express";
import { Session, sessionGuard, Sessions } from "socket-session/nest";
import { isLoggedIn } from "./session.js";

@Controller()
export class AccountController {
  constructor(private readonly sessions: Sessions) {}

  @Get()
  page(@Res() response: Response): void {
    response.sendFile(join(import.meta.dirname, "../index.html"));
  }

  @Post("login")
  @HttpCode(200)
  async login(@Req() request: Request): Promise<string> {
    // Check the password here.
    await new Promise<void>((done, fail) => request.session.regenerate((error) => (error ? fail(error) : done())));
    return (request.session.user = "ada");
  }

  @Post("logout")
  @HttpCode(204)
  async logout(@Req() request: Request): Promise<void> {
    await this.sessions.destroy(request);
  }

  @Get("likes")
  @UseGuards(sessionGuard(isLoggedIn))
  likes(@Session("likes") likes = 0): { likes: number } {
    return { likes };
  }
}
