// client
/** What a request failed with. Codes of the server's own come beside those of the protocol. */
export class RequestError extends Error {
    code;
    details;
    retryMs;
    constructor(code, message = code, details, 
    /** After how many milliseconds it makes sense to try again. */
    retryMs) {
        super(message);
        this.code = code;
        this.details = details;
        this.retryMs = retryMs;
        this.name = "RequestError";
    }
}
const refused = [1002, 1003, 1007, 1008, 3000];
/**
 * A connection to the server that is made again when it breaks. Calls made meanwhile wait for it; those that were under
 * way, and streams, fail with code "unavailable": only the caller knows whether to repeat them.
 */
export class Client {
    #url;
    #options;
    #socket;
    #state = "connecting";
    #attempts = 0;
    #timer;
    #lastId = 0;
    #pending = new Map();
    #waiting = new Set();
    #listeners = new Map();
    #answers = new Map();
    #answering = new Map();
    /** url may be relative to the page, and its scheme http or ws. */
    constructor(url, options = {}) {
        const base = typeof location === "undefined" ? undefined : location.href;
        this.#url = new URL(url, base).href.replace(/^http/, "ws");
        this.#options = options;
        this.#connect();
    }
    get state() {
        return this.#state;
    }
    /** Sends a request and waits for its reply. Rejects with a RequestError, or with the signal's reason. */
    async call(type, data, options = {}) {
        const replies = this.#request(type, data, { timeout: this.#options.timeout ?? 30_000, ...options });
        try {
            const { value } = await replies.next();
            return value;
        }
        finally {
            await replies.return(undefined);
        }
    }
    /** Sends a request and returns the replies as they come. Leaving the loop cancels the request. */
    stream(type, data, options = {}) {
        return this.#items(this.#request(type, data, options));
    }
    async *#items(replies) {
        yield* replies; // without its return value
    }
    /** Sends an event. Returns false, and sends nothing, while there is no connection. */
    send(type, data) {
        return this.#send({ type, data });
    }
    /** Calls f for each event of a type that the server sends, until the returned function is called. */
    on(type, f) {
        let all = this.#listeners.get(type);
        if (all === undefined) {
            all = new Set();
            this.#listeners.set(type, all);
        }
        const listener = (data) => f(data);
        all.add(listener);
        return () => void all.delete(listener);
    }
    /** Answers the server's requests of a type with what f returns or throws. */
    answer(type, f) {
        this.#answers.set(type, f);
    }
    /** Ends the connection for good. */
    close(code = 1000, reason = "") {
        clearTimeout(this.#timer);
        this.#socket?.close(code, reason);
        this.#ended();
        this.#setState("closed");
        this.#wake();
    }
    #setState(state) {
        if (state !== this.#state) {
            this.#state = state;
            this.#options.onstate?.(state);
        }
    }
    #error(error) {
        (this.#options.onerror ?? console.error)(error);
    }
    #connect() {
        const socket = new (this.#options.WebSocket ?? WebSocket)(this.#url, this.#options.protocols);
        this.#socket = socket;
        socket.onopen = () => {
            this.#attempts = 0;
            this.#setState("open");
            this.#wake();
        };
        socket.onmessage = (event) => {
            try {
                this.#receive(JSON.parse(String(event.data)));
            }
            catch (error) {
                this.#error(error);
            }
        };
        socket.onclose = (event) => {
            if (socket === this.#socket && this.#state !== "closed") {
                this.#broken(event);
            }
        };
    }
    #broken(event) {
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
    #ended() {
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
    #wake() {
        const waiting = [...this.#waiting];
        this.#waiting.clear();
        for (const f of waiting) {
            f();
        }
    }
    #send(envelope) {
        if (this.#state !== "open" || this.#socket === undefined) {
            return false;
        }
        this.#socket.send(JSON.stringify(envelope));
        return true;
    }
    #receive(envelope) {
        const { id, type } = envelope;
        if (type === undefined) {
            if (id !== undefined) {
                this.#pending.get(id)?.reply(envelope);
            }
            else if (envelope.error !== undefined) {
                this.#error(toError(envelope.error));
            }
        }
        else if (type === "$cancel") {
            this.#answering.get(id ?? -1)?.abort();
        }
        else if (id !== undefined) {
            void this.#answer(id, type, envelope.data);
        }
        else {
            this.#emit(type, envelope.data);
        }
    }
    #emit(type, data) {
        for (const f of [...(this.#listeners.get(type) ?? [])]) {
            try {
                f(data);
            }
            catch (error) {
                this.#error(error);
            }
        }
    }
    async #answer(id, type, data) {
        const f = this.#answers.get(type);
        if (f === undefined) {
            this.#send({ id, error: { code: "unknown_type", message: "unknown type " + type } });
            return;
        }
        const controller = new AbortController();
        this.#answering.set(id, controller);
        try {
            this.#send({ id, data: await f(data, controller.signal) });
        }
        catch (error) {
            if (error instanceof RequestError) {
                this.#send({ id, error: { code: error.code, message: error.message, details: error.details } });
            }
            else {
                this.#error(error);
                this.#send({ id, error: { code: controller.signal.aborted ? "canceled" : "internal" } });
            }
        }
        finally {
            this.#answering.delete(id);
        }
    }
    /** Yields the items of a request's replies, and returns the data of the last. */
    async *#request(type, data, options) {
        const { signal, timeout = 0 } = options;
        const most = this.#options.maxBuffered ?? 10_000;
        const queue = [];
        let failure;
        let wake = () => { };
        const fail = (error) => {
            failure ??= { error };
            wake();
        };
        const reply = (envelope) => {
            if (queue.length >= most) {
                fail(new RequestError("unavailable", "the consumer of the stream is too slow"));
            }
            else if (failure === undefined) {
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
                    const envelope = { id, type, data };
                    if (timeout > 0) {
                        envelope.timeout_ms = Math.max(1, deadline - Date.now());
                    }
                    open = sent = this.#send(envelope);
                }
                else {
                    await new Promise((resolve) => {
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
                }
                else if (failure !== undefined) {
                    throw failure.error;
                }
                else {
                    await new Promise((resolve) => (wake = resolve));
                }
            }
        }
        finally {
            clearTimeout(timer);
            signal?.removeEventListener("abort", abort);
            if (this.#pending.delete(id) && open) {
                this.#send({ type: "$cancel", id });
            }
        }
    }
}
function toError(e) {
    return new RequestError(e.code, e.message, e.details, e.retry_ms);
}
