/**
 * Requests over HTTP by Node's own client: connections that are kept, a bound on how many there are, and an end for
 * each request. Node's client sends a path as it is, where classes for URLs would drop `..`.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as http from "node:http"
import * as https from "node:https"
import { received } from "./receivedBytes.ts"

export interface Endpoint {
  readonly protocol: "http:" | "https:"
  /** Name or address, without brackets. */
  readonly hostname: string
  readonly port: number | undefined
}

export interface HttpRequest {
  readonly method: string
  /** With the query, encoded. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Uint8Array | undefined
  /** How long nothing may come before the answer does. */
  readonly patienceMillis: number
  /** Gets the content of an answer that is a success, if `send` makes the request. What does not fit in is left. */
  readonly into?: Uint8Array | undefined
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
}

interface Answered extends HttpAnswer {
  /** What the request proved to the service, and to a proxy, who asks. The content may quote it. */
  readonly proofs: ReadonlyArray<string>
}

/**
 * The connection broke, or nothing came. `code` is that of the system, or the name of the error: a message may quote
 * secrets.
 */
export class ConnectionLost
  extends Schema.TaggedError<ConnectionLost>("@fanout/ops/ConnectionLost")("ConnectionLost", { code: Schema.String })
{}

export interface HttpTransport {
  /** The answer with all of its content, which is small. */
  readonly send: (
    endpoint: Endpoint,
    request: HttpRequest
  ) => Effect.Effect<WholeAnswer, ConnectionLost>
  /** The answer, whose content is read once, before the scope closes. */
  readonly open: (
    endpoint: Endpoint,
    request: HttpRequest
  ) => Effect.Effect<OpenAnswer, ConnectionLost, Scope.Scope>
}

export interface WholeAnswer extends Answered {
  /** A part of the buffer that was given. Nothing where the content does not fit in there. */
  readonly body: Uint8Array | undefined
}

export interface OpenAnswer extends Answered {
  readonly bytes: Stream.Stream<Uint8Array, ConnectionLost>
}

export interface TransportOptions {
  /** Connections to one host at the same time. Further requests wait. */
  readonly sockets: number
  /** Certificates of authorities, in PEM format, instead of those that Node knows. */
  readonly authorities?: string | undefined
}

/** Longest answer that is kept in memory: 1,000 keys of 1,024 bytes, each escaped, have 3 MiB. */
const mostTextBytes = 32 * 2 ** 20

const codeOf = (error: unknown): string => {
  // Where several addresses were tried, the error is a list, and has no code of its own.
  if (error instanceof AggregateError) return codeOf(error.errors[0])
  if (!(error instanceof Error)) return "Unknown"
  return "code" in error && typeof error.code === "string" ? error.code : error.name
}
const lost = (error: unknown): ConnectionLost => new ConnectionLost({ code: codeOf(error) })
const coded = (code: string): Error => Object.assign(new Error(code), { code })
const timedOut = coded("ETIMEDOUT")

const headersOf = (headers: http.IncomingHttpHeaders): HttpAnswer["headers"] =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(", ") : value])
  )

const statusOf = ({ statusCode = 0 }: http.IncomingMessage): number => statusCode

/** Headers that prove who asks. Node itself adds the one for a proxy. */
const proving = ["authorization", "proxy-authorization", "x-amz-security-token"]

const answeredOf = (request: http.ClientRequest, response: http.IncomingMessage): Answered => ({
  status: statusOf(response),
  headers: headersOf(response.headers),
  // Before a proof stands its kind. What is shorter proves nothing, and may be in each text.
  proofs: proving.map((name) => String(request.getHeader(name) ?? "").replace(/^\S+ /, ""))
    .filter((proof) => proof.length >= 8)
})

/** Tells the content once all of it is there. What does not fit into the buffer of a success is left. */
const collect = (
  response: http.IncomingMessage,
  buffer: Uint8Array | undefined,
  done: (body: Uint8Array | undefined) => void
): void => {
  const into = statusOf(response) < 300 ? buffer : undefined
  const chunks: Array<Uint8Array> = []
  let length = 0
  response.on("data", (chunk: Buffer) => {
    const before = length
    length += chunk.length
    if (into === undefined) chunks.push(chunk)
    else if (length <= into.length) into.set(chunk, before)
    received(chunk.length)
    if (length <= (into?.length ?? mostTextBytes)) return
    if (into === undefined) response.destroy(coded("EMSGSIZE"))
    else {
      done(undefined)
      response.destroy()
    }
  })
  response.on("end", () => done(into === undefined ? Buffer.concat(chunks) : into.subarray(0, length)))
}

/** The content, chunk by chunk. While nobody asks for the next chunk, no time counts against the server. */
const bytesOf = (
  response: http.IncomingMessage,
  patienceMillis: number
): Effect.Effect<Stream.Stream<Uint8Array, ConnectionLost>, never, Scope.Scope> =>
  Effect.gen(function*() {
    let isAwaited = false
    const timer = yield* Effect.acquireRelease(
      Effect.sync(() => setTimeout(() => isAwaited && response.destroy(timedOut), patienceMillis)),
      (timer) => Effect.sync(() => clearTimeout(timer))
    )
    const chunks: AsyncIterator<Uint8Array> = response.iterator({ destroyOnReturn: true })
    const next = Effect.tryPromise({
      try: () => {
        isAwaited = true
        timer.refresh()
        return chunks.next()
      },
      catch: lost
    })
    return Stream.fromPull(Effect.succeed(Effect.flatMap(next, ({ done, value }) => {
      isAwaited = false
      if (done === true) return Cause.done()
      received(value.length)
      return Effect.succeed([value] as const)
    })))
  })

/** Makes an agent. Its error quotes the URL of the proxy, which may have a password: only the code is told of it. */
const agentOf = <A extends http.Agent>(make: () => A): Effect.Effect<A, ConnectionLost, Scope.Scope> =>
  Effect.acquireRelease(Effect.try({ try: make, catch: lost }), (agent) => Effect.sync(() => agent.destroy()))

/** Makes a transport, whose connections close with the scope. Fails where a variable that names a proxy is no URL. */
export const makeTransport = Effect.fnUntraced(function*(
  { authorities, sockets }: TransportOptions
): Effect.fn.Return<HttpTransport, ConnectionLost, Scope.Scope> {
  const options = { keepAlive: true, maxSockets: sockets, scheduling: "lifo", proxyEnv: process.env } as const
  const plain = yield* agentOf(() => new http.Agent(options))
  const secure = yield* agentOf(() =>
    new https.Agent({ ...options, ...authorities === undefined ? {} : { ca: authorities } })
  )

  const begin = (
    { hostname, port, protocol }: Endpoint,
    { body, headers, method, path, patienceMillis }: HttpRequest
  ): http.ClientRequest => {
    const isSecure = protocol === "https:"
    const request = (isSecure ? https : http).request({
      agent: isSecure ? secure : plain,
      hostname,
      port,
      method,
      path,
      headers: body === undefined && method !== "PUT" && method !== "POST"
        ? headers
        : { ...headers, "content-length": String(body?.length ?? 0) },
      timeout: patienceMillis
    })
    request.on("timeout", () => request.destroy(timedOut))
    request.end(body)
    return request
  }

  const send: HttpTransport["send"] = (endpoint, request) =>
    Effect.callback((resume) => {
      const running = begin(endpoint, request)
      running.on("error", (error) => resume(Effect.fail(lost(error))))
      running.on("response", (response) => {
        collect(response, request.into, (body) => {
          // Nothing may be sent of a body that the caller has back.
          if (!running.writableFinished) running.destroy()
          resume(Effect.succeed({ ...answeredOf(running, response), body }))
        })
        response.on("error", (error) => resume(Effect.fail(lost(error))))
      })
      return Effect.sync(() => running.destroy())
    })

  const open: HttpTransport["open"] = Effect.fnUntraced(function*(endpoint, request) {
    const answered = Effect.callback<readonly [http.IncomingMessage, Answered], ConnectionLost>((resume) => {
      const running = begin(endpoint, request)
      running.on("error", (error) => resume(Effect.fail(lost(error))))
      running.on("response", (response) => {
        // From now on it is the reader who waits, and who is told of a broken connection.
        running.setTimeout(0)
        response.on("error", () => undefined)
        resume(Effect.succeed([response, answeredOf(running, response)]))
      })
      return Effect.sync(() => running.destroy())
    })
    // To destroy an answer that was read to its end leaves the connection to the next request.
    const release = ([response]: readonly [http.IncomingMessage, Answered]) => Effect.sync(() => response.destroy())
    const [response, answer] = yield* Effect.acquireRelease(answered, release, { interruptible: true })
    return { ...answer, bytes: yield* bytesOf(response, request.patienceMillis) }
  })

  return { send, open }
})
