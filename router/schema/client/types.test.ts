// What the generated types allow, and what they refuse: each @ts-expect-error
// that is not needed is an error itself.
import { Client, RequestError, type Member, type Position, type Post, type Author } from "./generated.js";

declare const client: Client;
declare const post: Post;

export async function allowed() {
  const page = await client.call("post", post);
  const first: string | undefined = page.items?.[0]?.text;
  const sum: number = await client.call("sum", [1, 2], { timeout: 10, signal: AbortSignal.timeout(5) });
  const tree = await client.call('odd "type"', null);
  await client.call("posts", {});
  for await (const level of client.stream("watch", "red")) {
    const one: 1 | 2 | 3 = level;
    void one;
  }
  const sent: boolean = client.send("typing", "ada");
  const off: () => void = client.on("typing", (author: Author) => author.email?.length);
  try {
    off();
  } catch (e) {
    if (e instanceof RequestError) void (e.code satisfies string);
  }
  const room = client.join("lobby", { recent: 20, meta: { colour: "red" } });
  room.on("typing", (author: Author, place) => [author.email, place.pos?.[0]]);
  room.onpresence((members: Member[], { left }) => [...members, ...left]);
  const pos: Position | undefined = await room.publish("typing", 2, { timeout: 10 });
  void pos;
  void [first, sum, tree?.["a"], sent];
  const colours: Post["colour"][] = ["red", "green"];
  void colours;
}

export async function refused() {
  // @ts-expect-error: no such request
  await client.call("pots", post);
  // @ts-expect-error: a stream is no request
  await client.call("watch", "red");
  // @ts-expect-error: no such member of the data
  await client.call("post", { ...post, txt: "" });
  // @ts-expect-error: members are missing
  await client.call("post", {});
  // @ts-expect-error: not a colour
  await client.call("post", { ...post, colour: "blue" });
  // @ts-expect-error: an item is missing
  await client.call("post", { ...post, key: [1] });
  // @ts-expect-error: hidden by the encoding
  await client.call("post", { ...post, Ignored: 1 });
  // @ts-expect-error: the list may be null
  (await client.call("post", post)).items.length;
  // @ts-expect-error: the reply is a number
  (await client.call("sum", [])).length;
  // @ts-expect-error: an option that there is not
  await client.call("sum", [], { retries: 1 });
  // @ts-expect-error: not an empty object
  await client.call("posts", { a: 1 });
  // @ts-expect-error: the server's event, not the client's
  client.send("posted", "ada");
  // @ts-expect-error: another type of data
  client.send("typing", 1);
  // @ts-expect-error: another type of data
  client.on("typing", (text: string) => text);
  // @ts-expect-error: another type than clients publish
  await client.join("lobby").publish("typing", "ada");
  // @ts-expect-error: nothing that can be published
  await client.join("lobby").publish("post", post);
  // @ts-expect-error: another type of data
  client.join("lobby").on("typing", (text: string) => text);
  for await (const level of client.stream("watch", "red")) {
    // @ts-expect-error: not a level
    const four: 4 = level;
    void four;
  }
}
