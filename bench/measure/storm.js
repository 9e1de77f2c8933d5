// All clients come back at once, as after a deployment: CPU per connection, and how long the event loop lets others wait.
import { closeAll, connectAll } from "../client.js";
import { measureCpu } from "./cpu.js";

export async function* measureStorm(server, { stormClients }, add) {
  const cookies = server.cookies.slice(0, stormClients);
  let clients;
  yield* measureCpu(server, "storm", { operations: stormClients, slices: 1 }, add, async () => {
    await server.ask("watchDelays");
    clients = await connectAll(server, cookies, stormClients);
    add("storm-delay", await server.ask("delay"));
  });
  await closeAll(server, clients);
}
