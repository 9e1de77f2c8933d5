// The types of docs.js, for the tests.
import type { ChildProcess } from "node:child_process";

export function buildDocs(): Promise<void>;
export function serveDocs(port: number): ChildProcess;
