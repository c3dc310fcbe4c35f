// types: the generator puts the API's own types in the place of what follows, up to the next such mark.
export interface Requests { [type: string]: [unknown, unknown] }
export interface Streams { [type: string]: [unknown, unknown] }
export interface Events { [type: string]: unknown }
export interface Emitted { [type: string]: unknown }
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
  /** Milliseconds of the shortest and longest wait before connecting again. Default 250 and 30000. */
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

interface Envelope {
  id?: number;
  type?: string;
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

const refused = [1002, 1003, 1007, 1008, 3000];

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
  #listeners = new Map<string, Set<(data: never) => unknown>>();
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

  /** Calls f for each event of a type that the server sends, until the returned function is called. */
  on<T extends keyof Emitted & string>(type: T, f: (data: Emitted[T]) => unknown): () => void {
    let all = this.#listeners.get(type);
    if (all === undefined) {
      all = new Set();
      this.#listeners.set(type, all);
    }
    const listener = (data: Emitted[T]) => f(data);
    all.add(listener);
    return () => void all.delete(listener);
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
    this.#setState("closed");
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
    socket.onopen = () => {
      this.#attempts = 0;
      this.#setState("open");
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
        this.#broken(event);
      }
    };
  }

  #broken(event: { code: number; reason: string }): void {
    const again = this.#options.reconnect ?? (({ code }) => !refused.includes(code));
    this.#ended();
    if (!again(event)) {
      this.#setState("closed");
      this.#wake();
      return;
    }
    this.#setState("connecting");
    // The whole wait is random, so that clients do not come back all at once.
    const { minDelay = 250, maxDelay = 30_000 } = this.#options;
    const most = Math.min(maxDelay, minDelay * 2 ** Math.min(this.#attempts++, 20));
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
    } else {
      this.#emit(type, envelope.data);
    }
  }

  #emit(type: string, data: unknown): void {
    for (const f of [...(this.#listeners.get(type) ?? [])]) {
      try {
        f(data as never);
      } catch (error) {
        this.#error(error);
      }
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
          throw new RequestError("unavailable", "the client is closed");
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
