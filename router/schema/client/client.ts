// types: the generator puts the API's own types in the place of what follows, up to the next such mark.
export interface Requests { [type: string]: [unknown, unknown] }
export interface Streams { [type: string]: [unknown, unknown] }
export interface Events { [type: string]: unknown }
export interface Emitted { [type: string]: unknown }
export interface Published { [type: string]: unknown }
// client

/** What a request failed with. Codes of the server's own come beside those of the protocol. */
export class RequestError extends Error {
  constructor(
    readonly code: string,
    message: string = code,
    readonly details?: unknown,
    /** After how many milliseconds it makes sense to try again. */
    readonly retryMs?: number,
  ) {
    super(message);
    this.name = "RequestError";
  }
}

export interface CallOptions {
  /** Gives up the request, and tells the server. */
  signal?: AbortSignal;
  /** Milliseconds until the request is given up; 0 means never. Default: the client's timeout, and never for streams. */
  timeout?: number;
}

export type State = "connecting" | "open" | "closed";

export interface Options {
  /** Subprotocols to offer. */
  protocols?: string[];
  /** Milliseconds that a call may take, waiting for the connection included; 0 means for ever. Default 30000. */
  timeout?: number;
  /**
   * Milliseconds of the shortest and longest wait before connecting again: by chance between them, at first below four times
   * the shortest. Default 250 and 30000.
   */
  minDelay?: number;
  maxDelay?: number;
  /** Whether to connect again after a close. Default: unless the server refused (1002, 1003, 1007, 1008, 3000). */
  reconnect?: (event: { code: number; reason: string }) => boolean;
  /** How many items of a stream are kept for a slow consumer before the stream is given up. Default 10000. */
  maxBuffered?: number;
  /** Called whenever the state changes. */
  onstate?: (state: State) => void;
  /** Called with what is thrown by functions given to on, and with what the server could not read. Default: console.error. */
  onerror?: (error: unknown) => void;
  /** Where there is no global WebSocket. */
  WebSocket?: new (url: string, protocols?: string[]) => WebSocket;
}

/** A place in a room's history: an offset and an epoch. */
export type Position = [number, string];

/** Where an event comes from: nowhere, unless it was published in a room. */
export interface Place {
  room?: string;
  /** Its position, in a room with a history. */
  pos?: Position;
}

/** Somebody in a room. */
export interface Member {
  id: string;
  principal?: string;
  /** What it has said about itself when it joined. */
  meta?: unknown;
}

/** Who has come and gone. */
export interface Change {
  joined: Member[];
  left: Member[];
}

export interface JoinOptions {
  /** How many of the last messages come at first. Default none. */
  recent?: number;
  /** The position of the last message that was seen, in an earlier life of the page, say: later ones come at first. */
  since?: Position;
  /** What others see of this member in the room's presence. */
  meta?: unknown;
}

export interface PublishOptions {
  /**
   * Milliseconds until it is given up, the time without a connection included. Default: the client's timeout. At most
   * 100000: servers forget what they have published already.
   */
  timeout?: number;
}

interface Envelope {
  id?: number;
  type?: string;
  room?: string;
  pos?: Position;
  data?: unknown;
  more?: boolean;
  timeout_ms?: number;
  error?: { code: string; message?: string; details?: unknown; retry_ms?: number };
}

/** A request that waits for replies. */
interface Pending {
  reply(envelope: Envelope): void;
  fail(error: unknown): void;
}

/** How many milliseconds a connection has to last for the next wait to be a short one again. */
const steady = 5000;

const refused = [1002, 1003, 1007, 1008, 3000];

/** The protocol's requests and events of rooms. */
interface Joined {
  room?: string;
  recovered: boolean;
  missed: number;
  error?: { code: string; message?: string; retry_ms?: number };
}

interface Presence {
  members?: Member[];
  joined?: Member[];
  left?: string[];
}

/** What a Room needs of its Client. */
interface Link {
  /** Sends a request, or returns false. done gets the reply, or nothing when the connection is lost. */
  ask(type: string, data: unknown, done: (reply: Envelope | undefined) => void): boolean;
  /** Passes on an event to the client's own listeners. */
  emit(envelope: Envelope): void;
  call(f: () => unknown): void;
  error(error: unknown): void;
  forget(): void;
  id(): string;
  timeout: number;
}

/** What a Client needs of its Rooms. */
interface Seat {
  /** What $join takes. */
  request(): object;
  /** What $join has answered; nothing when the connection was lost. */
  answer(reply: Joined | undefined, error?: RequestError): void;
  receive(envelope: Envelope): void;
  lost(): void;
  close(error: RequestError): void;
}

/** A message to be published, until that is acknowledged. */
interface Publication {
  request: object;
  sent: boolean;
  settle(pos: Position | undefined, error?: RequestError): void;
}

const maxPublish = 100_000;
const retryDelay = 1000;

/** A set of listeners. */
class Listeners<F> {
  #all = new Set<{ f: F }>();

  add(f: F): () => void {
    const entry = { f };
    this.#all.add(entry);
    return () => void this.#all.delete(entry);
  }

  each(use: (f: F) => void): void {
    for (const { f } of [...this.#all]) {
      use(f);
    }
  }
}

/**
 * A room that the client is in: its messages, in order and none twice, also over interruptions, and who is there. It is
 * joined again whenever the connection was made again.
 */
export class Room {
  readonly name: string;
  /** Settles when the room has been joined for the first time, or has been refused. */
  readonly joined: Promise<void>;

  #link: Link;
  #options: JoinOptions;
  #settle: { resolve: () => void; reject: (error: unknown) => void } = { resolve() {}, reject() {} };
  #live = false;
  #wasLive = false;
  #again = false; // it comes back
  #asked: Position | undefined;
  #position: Position | undefined;
  #members = new Map<string, Member>();
  #unsent = new Set<Publication>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #over: RequestError | undefined;
  #listeners = new Map<string, Listeners<(data: never, place: Place) => unknown>>();
  #presence = new Listeners<(members: Member[], change: Change) => unknown>();
  #gaps = new Listeners<(missed: number) => unknown>();

  /** Rooms are made by Client.join. */
  constructor(name: string, options: JoinOptions, link: Link, attach: (seat: Seat) => void) {
    this.name = name;
    this.#options = options;
    this.#position = options.since;
    this.#link = link;
    this.joined = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
    this.joined.catch(() => {}); // whoever waits for it is told
    attach({
      request: () => this.#request(),
      answer: (reply, error) => this.#answer(reply, error),
      receive: (envelope) => this.#receive(envelope),
      lost: () => this.#interrupted(),
      close: (error) => this.#close(error),
    });
  }

  /** Whether messages come as they are published: the room has been joined, and there is a connection. */
  get live(): boolean {
    return this.#live;
  }

  /** The position of the last message: for JoinOptions.since. */
  get position(): Position | undefined {
    return this.#position;
  }

  /** Who is there, as far as is known; always nobody in a room without presence. */
  get members(): Member[] {
    return [...this.#members.values()];
  }

  /** Calls f for each event of a type that is published in the room, until the returned function is called. */
  on<T extends keyof Emitted & string>(type: T, f: (data: Emitted[T], place: Place) => unknown): () => void {
    let all = this.#listeners.get(type);
    if (all === undefined) {
      all = new Listeners();
      this.#listeners.set(type, all);
    }
    return all.add(f);
  }

  /** Calls f when somebody comes or goes, until the returned function is called. */
  onpresence(f: (members: Member[], change: Change) => unknown): () => void {
    return this.#presence.add(f);
  }

  /** Calls f where messages are missing, with their number, or 0 if nobody knows it, until the returned function is called. */
  onlost(f: (missed: number) => unknown): () => void {
    return this.#gaps.add(f);
  }

  /**
   * Publishes in the room. Resolves when that is acknowledged, with the position in a room with a history; rejects with a
   * RequestError. After an interruption it is sent again, and in a room with a history it is published once nevertheless.
   */
  publish<T extends keyof Published & string>(type: T, data: Published[T], options: PublishOptions = {}): Promise<Position | undefined> {
    return new Promise((resolve, reject) => {
      if (this.#over !== undefined) {
        reject(this.#over);
        return;
      }
      const timeout = Math.min(options.timeout ?? this.#link.timeout, maxPublish) || maxPublish;
      const timer = setTimeout(() => publication.settle(undefined, new RequestError("timeout")), timeout);
      const publication: Publication = {
        request: { room: this.name, type, id: this.#link.id(), data },
        sent: false,
        settle: (pos, error) => {
          clearTimeout(timer);
          this.#unsent.delete(publication);
          if (error === undefined) {
            resolve(pos);
          } else {
            reject(error);
          }
        },
      };
      this.#unsent.add(publication);
      this.#flush();
    });
  }

  /** Leaves the room. What has not been acknowledged is given up. */
  leave(): void {
    if (this.#over === undefined) {
      this.#link.forget();
      this.#close(new RequestError("canceled", "the room was left"));
    }
  }

  #request(): object {
    const { recent, meta } = this.#options;
    this.#asked = this.#position;
    this.#again = this.#wasLive;
    return { room: this.name, since: this.#position, recent: this.#wasLive ? undefined : recent, meta };
  }

  #answer(reply: Joined | undefined, error?: RequestError): void {
    if (reply?.error !== undefined) {
      error = toError(reply.error);
    }
    if (this.#over !== undefined) {
      return;
    }
    if (error === undefined) {
      this.#enter(); // $joined says the rest, in its place, unless it was dropped
      return;
    }
    if (error.code === "unavailable" || error.code === "timeout" || error.code === "canceled") {
      this.#timer = setTimeout(() => this.#askAgain(), error.retryMs ?? retryDelay);
      return;
    }
    if (this.#wasLive) {
      this.#link.error(error);
    }
    this.#link.forget();
    this.#close(error);
  }

  #askAgain(): void {
    this.#link.ask("$join", this.#request(), (reply) => {
      if (reply !== undefined) {
        this.#answer(undefined, reply.error && toError(reply.error));
      }
    });
  }

  #interrupted(): void {
    clearTimeout(this.#timer);
    this.#live = false;
    for (const publication of this.#unsent) {
      publication.sent = false;
    }
  }

  #close(error: RequestError): void {
    this.#interrupted();
    this.#over = error;
    this.#settle.reject(error);
    for (const publication of [...this.#unsent]) {
      publication.settle(undefined, error);
    }
  }

  #receive(envelope: Envelope): void {
    const type = envelope.type ?? "";
    const { pos, data } = envelope;
    const last = this.#position;
    if (pos != null) {
      const seen = last !== undefined && pos[1] === last[1] && pos[0] <= last[0];
      if (seen && !type.startsWith("$")) {
        return;
      }
      if (!seen) {
        this.#position = pos;
      }
    }
    switch (type) {
      case "$joined":
        this.#joined(data as Joined);
        return;
      case "$gap":
        this.#missed((data as { missed: number }).missed);
        return;
      case "$presence":
        this.#present(data as Presence);
        return;
    }
    const place: Place = pos == null ? { room: this.name } : { room: this.name, pos };
    this.#listeners.get(type)?.each((f) => this.#link.call(() => f(data as never, place)));
    this.#link.emit(envelope);
  }

  #joined(joined: Joined): void {
    if (this.#again && this.#asked === undefined && !joined.recovered) {
      this.#missed(0); // a room that keeps nothing
    }
    this.#again = false;
    this.#enter();
  }

  #enter(): void {
    this.#live = this.#wasLive = true;
    this.#settle.resolve();
    this.#flush();
  }

  #missed(n: number): void {
    this.#gaps.each((f) => this.#link.call(() => f(n)));
  }

  #present(presence: Presence): void {
    const change: Change = { joined: [], left: [] };
    const gone = presence.left ?? (presence.members === undefined ? [] : [...this.#members.keys()].filter((id) => !presence.members?.some((m) => m.id === id)));
    for (const id of gone) {
      const member = this.#members.get(id);
      if (this.#members.delete(id) && member !== undefined) {
        change.left.push(member);
      }
    }
    for (const member of presence.members ?? presence.joined ?? []) {
      if (!this.#members.has(member.id)) {
        change.joined.push(member);
      }
      this.#members.set(member.id, member);
    }
    if (change.joined.length + change.left.length > 0) {
      this.#presence.each((f) => this.#link.call(() => f(this.members, change)));
    }
  }

  /** Sends what is not sent yet, in order. */
  #flush(): void {
    for (const publication of this.#unsent) {
      if (this.#live && !publication.sent) {
        publication.sent = this.#link.ask("$publish", publication.request, (reply) => this.#acknowledged(publication, reply));
      }
    }
  }

  #acknowledged(publication: Publication, reply: Envelope | undefined): void {
    if (reply === undefined || !this.#unsent.has(publication)) {
      return; // it is sent again with the next connection
    }
    const error = reply.error && toError(reply.error);
    if (error?.code !== "unavailable") {
      publication.settle((reply.data as { pos?: Position } | undefined)?.pos, error);
      return;
    }
    setTimeout(() => {
      publication.sent = false;
      this.#flush();
    }, error.retryMs ?? retryDelay);
  }
}

/**
 * A connection to the server that is made again when it breaks. Calls made meanwhile wait for it; those that were under
 * way, and streams, fail with code "unavailable": only the caller knows whether to repeat them.
 */
export class Client {
  #url: string;
  #options: Options;
  #socket: WebSocket | undefined;
  #state: State = "connecting";
  #attempts = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #lastId = 0;
  #pending = new Map<number, Pending>();
  #waiting = new Set<() => void>();
  #listeners = new Map<string, Listeners<(data: never, place: Place) => unknown>>();
  #rooms = new Map<string, Seat & { room: Room }>();
  #leaving = new Set<string>();
  #session = random();
  #lastMessage = 0;
  #answers = new Map<string, (data: unknown, signal: AbortSignal) => unknown>();
  #answering = new Map<number, AbortController>();

  /** url may be relative to the page, and its scheme http or ws. */
  constructor(url: string, options: Options = {}) {
    const base = typeof location === "undefined" ? undefined : location.href;
    this.#url = new URL(url, base).href.replace(/^http/, "ws");
    this.#options = options;
    this.#connect();
  }

  get state(): State {
    return this.#state;
  }

  /** Sends a request and waits for its reply. Rejects with a RequestError, or with the signal's reason. */
  async call<T extends keyof Requests & string>(type: T, data: Requests[T][0], options: CallOptions = {}): Promise<Requests[T][1]> {
    const replies = this.#request(type, data, { timeout: this.#options.timeout ?? 30_000, ...options });
    try {
      const { value } = await replies.next();
      return value as Requests[T][1];
    } finally {
      await replies.return(undefined);
    }
  }

  /** Sends a request and returns the replies as they come. Leaving the loop cancels the request. */
  stream<T extends keyof Streams & string>(type: T, data: Streams[T][0], options: CallOptions = {}): AsyncGenerator<Streams[T][1], void, void> {
    return this.#items(this.#request(type, data, options)) as AsyncGenerator<Streams[T][1], void, void>;
  }

  async *#items(replies: AsyncGenerator<unknown, unknown, void>): AsyncGenerator<unknown, void, void> {
    yield* replies; // without its return value
  }

  /** Sends an event. Returns false, and sends nothing, while there is no connection. */
  send<T extends keyof Events & string>(type: T, data: Events[T]): boolean {
    return this.#send({ type, data });
  }

  /** Calls f for each event of a type that the server sends, those in rooms included, until the returned function is called. */
  on<T extends keyof Emitted & string>(type: T, f: (data: Emitted[T], place: Place) => unknown): () => void {
    let all = this.#listeners.get(type);
    if (all === undefined) {
      all = new Listeners();
      this.#listeners.set(type, all);
    }
    return all.add(f);
  }

  /**
   * Joins a room, or returns the one that has been joined already. Its messages begin when the caller is done: there is time
   * to add listeners.
   */
  join(name: string, options: JoinOptions = {}): Room {
    const known = this.#rooms.get(name);
    if (known !== undefined) {
      return known.room;
    }
    const link: Link = {
      ask: (type, data, done) => this.#ask(type, data, done),
      emit: (envelope) => this.#emit(envelope),
      call: (f) => this.#call(f),
      error: (error) => this.#error(error),
      forget: () => this.#leave(name),
      id: () => `${this.#session}-${++this.#lastMessage}`,
      timeout: this.#options.timeout ?? 30_000,
    };
    let seat: Seat | undefined;
    const room = new Room(name, options, link, (s) => (seat = s));
    if (seat === undefined) {
      throw new Error("a Room attaches itself");
    }
    if (this.#state === "closed") {
      seat.close(closed());
      return room;
    }
    this.#rooms.set(name, { ...seat, room });
    if (!this.#leaving.has(name)) {
      this.#enter(name);
    }
    return room;
  }

  /** Answers the server's requests of a type with what f returns or throws. */
  answer(type: string, f: (data: unknown, signal: AbortSignal) => unknown): void {
    this.#answers.set(type, f);
  }

  /** Ends the connection for good. */
  close(code = 1000, reason = ""): void {
    clearTimeout(this.#timer);
    this.#socket?.close(code, reason);
    this.#ended();
    this.#closed();
  }

  #closed(): void {
    this.#setState("closed");
    const rooms = [...this.#rooms.values()];
    this.#rooms.clear();
    for (const room of rooms) {
      room.close(closed());
    }
    this.#wake();
  }

  #setState(state: State): void {
    if (state !== this.#state) {
      this.#state = state;
      this.#options.onstate?.(state);
    }
  }

  #error(error: unknown): void {
    (this.#options.onerror ?? console.error)(error);
  }

  #connect(): void {
    const socket = new (this.#options.WebSocket ?? WebSocket)(this.#url, this.#options.protocols);
    this.#socket = socket;
    let opened = Infinity;
    socket.onopen = () => {
      opened = Date.now();
      this.#setState("open");
      this.#resume();
      this.#wake();
    };
    socket.onmessage = (event: MessageEvent) => {
      try {
        this.#receive(JSON.parse(String(event.data)) as Envelope);
      } catch (error) {
        this.#error(error);
      }
    };
    socket.onclose = (event: CloseEvent) => {
      if (socket === this.#socket && this.#state !== "closed") {
        if (Date.now() - opened > steady) {
          this.#attempts = 0;
        }
        this.#broken(event);
      }
    };
  }

  #broken(event: { code: number; reason: string }): void {
    const again = this.#options.reconnect ?? (({ code }) => !refused.includes(code));
    this.#ended();
    if (!again(event)) {
      this.#closed();
      return;
    }
    this.#setState("connecting");
    // A random wait, the first one too, so that clients do not come back all at once.
    const { minDelay = 250, maxDelay = 30_000 } = this.#options;
    const most = Math.min(maxDelay, minDelay * 2 ** Math.min(++this.#attempts + 1, 20));
    this.#timer = setTimeout(() => this.#connect(), minDelay + Math.random() * Math.max(0, most - minDelay));
  }

  /** Fails what was under way on a connection that is over. */
  #ended(): void {
    this.#socket = undefined;
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const p of pending) {
      p.fail(new RequestError("unavailable", "the connection was lost"));
    }
    for (const controller of this.#answering.values()) {
      controller.abort();
    }
    this.#answering.clear();
    this.#leaving.clear();
    for (const room of [...this.#rooms.values()]) {
      room.lost();
    }
  }

  /** Joins all rooms, also those that have been joined on an earlier connection. */
  #resume(): void {
    const seats = [...this.#rooms.values()];
    if (seats.length === 0) {
      return;
    }
    this.#ask("$resume", { rooms: seats.map((seat) => seat.request()) }, (reply) => {
      if (reply === undefined) {
        return;
      }
      const rooms = (reply.data as { rooms: Joined[] } | undefined)?.rooms;
      seats.forEach((seat, i) => seat.answer(rooms?.[i], reply.error && toError(reply.error)));
    });
  }

  /** Joins a room on this connection; without one, #resume will. */
  #enter(name: string): void {
    const seat = this.#rooms.get(name);
    if (seat !== undefined) {
      this.#ask("$join", seat.request(), (reply) => {
        if (reply !== undefined) {
          seat.answer(undefined, reply.error && toError(reply.error));
        }
      });
    }
  }

  /** Leaves a room; who joins it again meanwhile does so afterwards. */
  #leave(name: string): void {
    this.#rooms.delete(name);
    this.#leaving.add(name);
    const asked = this.#ask("$leave", { room: name }, () => {
      if (this.#leaving.delete(name)) {
        this.#enter(name);
      }
    });
    if (!asked) {
      this.#leaving.delete(name);
    }
  }

  #ask(type: string, data: unknown, done: (reply: Envelope | undefined) => void): boolean {
    const id = ++this.#lastId;
    if (!this.#send({ id, type, data })) {
      return false;
    }
    const reply = (envelope: Envelope | undefined) => {
      this.#pending.delete(id);
      done(envelope);
    };
    this.#pending.set(id, { reply, fail: () => reply(undefined) });
    return true;
  }

  #wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const f of waiting) {
      f();
    }
  }

  #send(envelope: Envelope): boolean {
    if (this.#state !== "open" || this.#socket === undefined) {
      return false;
    }
    this.#socket.send(JSON.stringify(envelope));
    return true;
  }

  #receive(envelope: Envelope): void {
    const { id, type } = envelope;
    if (type === undefined) {
      if (id !== undefined) {
        this.#pending.get(id)?.reply(envelope);
      } else if (envelope.error !== undefined) {
        this.#error(toError(envelope.error));
      }
    } else if (type === "$cancel") {
      this.#answering.get(id ?? -1)?.abort();
    } else if (id !== undefined) {
      void this.#answer(id, type, envelope.data);
    } else if (envelope.room == null) {
      this.#emit(envelope);
    } else if (this.#leaving.has(envelope.room)) {
      return; // it was on its way
    } else if (this.#rooms.has(envelope.room)) {
      this.#rooms.get(envelope.room)?.receive(envelope);
    } else {
      this.#emit(envelope); // a room that the server has joined
    }
  }

  #emit({ type = "", data, room, pos }: Envelope): void {
    const place: Place = {};
    if (room != null) {
      place.room = room;
    }
    if (pos != null) {
      place.pos = pos;
    }
    this.#listeners.get(type)?.each((f) => this.#call(() => f(data as never, place)));
  }

  #call(f: () => unknown): void {
    try {
      const result = f();
      if (result instanceof Promise) {
        result.catch((error: unknown) => this.#error(error));
      }
    } catch (error) {
      this.#error(error);
    }
  }

  async #answer(id: number, type: string, data: unknown): Promise<void> {
    const f = this.#answers.get(type);
    if (f === undefined) {
      this.#send({ id, error: { code: "unknown_type", message: "unknown type " + type } });
      return;
    }
    const controller = new AbortController();
    this.#answering.set(id, controller);
    try {
      this.#send({ id, data: await f(data, controller.signal) });
    } catch (error) {
      if (error instanceof RequestError) {
        this.#send({ id, error: { code: error.code, message: error.message, details: error.details } });
      } else {
        this.#error(error);
        this.#send({ id, error: { code: controller.signal.aborted ? "canceled" : "internal" } });
      }
    } finally {
      this.#answering.delete(id);
    }
  }

  /** Yields the items of a request's replies, and returns the data of the last. */
  async *#request(type: string, data: unknown, options: CallOptions): AsyncGenerator<unknown, unknown, void> {
    const { signal, timeout = 0 } = options;
    const most = this.#options.maxBuffered ?? 10_000;
    const queue: Envelope[] = [];
    let failure: { error: unknown } | undefined;
    let wake = () => {};
    const fail = (error: unknown) => {
      failure ??= { error };
      wake();
    };
    const reply = (envelope: Envelope) => {
      if (queue.length >= most) {
        fail(new RequestError("unavailable", "the consumer of the stream is too slow"));
      } else if (failure === undefined) {
        queue.push(envelope);
        wake();
      }
    };
    const abort = () => fail(signal?.reason);
    const timer = timeout > 0 ? setTimeout(() => fail(new RequestError("timeout")), timeout) : undefined;
    const deadline = Date.now() + timeout;
    const id = ++this.#lastId;
    let open = false;
    let sent = false;
    signal?.addEventListener("abort", abort, { once: true });
    try {
      signal?.throwIfAborted();
      while (!sent) {
        if (failure !== undefined) {
          throw failure.error;
        }
        if (this.#state === "closed") {
          throw closed();
        }
        if (this.#state === "open") {
          this.#pending.set(id, { reply, fail });
          const envelope: Envelope = { id, type, data };
          if (timeout > 0) {
            envelope.timeout_ms = Math.max(1, deadline - Date.now());
          }
          open = sent = this.#send(envelope);
        } else {
          await new Promise<void>((resolve) => {
            wake = resolve;
            this.#waiting.add(resolve);
          });
          this.#waiting.delete(wake);
        }
      }
      for (;;) {
        const next = queue.shift();
        if (next !== undefined) {
          if (next.more !== true) {
            open = false;
          }
          if (next.error !== undefined) {
            throw toError(next.error);
          }
          if (next.more !== true) {
            return next.data;
          }
          yield next.data;
        } else if (failure !== undefined) {
          throw (failure as { error: unknown }).error;
        } else {
          await new Promise<void>((resolve) => (wake = resolve));
        }
      }
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      if (this.#pending.delete(id) && open) {
        this.#send({ type: "$cancel", id });
      }
    }
  }
}

function toError(e: { code: string; message?: string; details?: unknown; retry_ms?: number }): RequestError {
  return new RequestError(e.code, e.message, e.details, e.retry_ms);
}

function closed(): RequestError {
  return new RequestError("unavailable", "the client is closed");
}

/** 72 random bits. */
function random(): string {
  return btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(9))));
}
