/**
 * Serves the page and the API on the loopback address of this machine, to whom has the token.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { randomBytes } from "node:crypto"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type * as Stop from "../exit/Stop.ts"
import { complain } from "../ui/View.ts"
import * as Guard from "./Guard.ts"
import * as Handlers from "./Handlers.ts"
import * as Health from "./Health.ts"
import * as Page from "./Page.ts"

/** Connections at the same time. A page has one for events, and some for what it reads. */
const mostConnections = 256

/** A port that some other program has, or that this user may not have. */
export class PortUnavailable extends Schema.TaggedError<PortUnavailable>("@fanout/cli/api/PortUnavailable")(
  "PortUnavailable",
  { port: Schema.Natural, code: Schema.String }
) {
  override get message(): string {
    const why = { EADDRINUSE: "another program has it", EACCES: "this user may not have it" }[this.code] ?? this.code
    return `Port ${this.port} can't be had: ${why}`
  }
}

/** How to serve. */
export interface Options {
  /** Ports to try, in this order; 0 is any that is free. */
  readonly ports: ReadonlyArray<number>
  /** Where the files of the page are. */
  readonly page: URL
  /** Tells an address that lets in one browser: the first one, and the next one when that was used. */
  readonly offer: (address: string) => Effect.Effect<void, Stop.Stop>
}

const refuse = (request: IncomingMessage, response: ServerResponse, { message, status, tag }: Guard.Refusal): void => {
  // What comes behind the headers is not read, so nothing else can come on this connection.
  response.shouldKeepAlive = false
  response.writeHead(status, { "content-type": "application/json" })
  response.end(JSON.stringify({ _tag: tag, message }))
  response.once("finish", () => request.destroy())
}

const secret = (): string => randomBytes(24).toString("base64url")

/** Where a code is exchanged for the token: once, so that what a browser, a log or a terminal keeps is of no use. */
const exchange = "/session"

/** For this long a browser can be started with a code, which whoever is on this machine sees. */
const startedMillis = 60_000

/** Codes that let somebody in, each once. */
const makeCodes = () => {
  const codes = new Map<string, { readonly until: number; readonly onUse: () => void }>()
  return {
    add: (millis: number, onUse: () => void): string => {
      const code = secret()
      codes.set(code, { until: performance.now() + millis, onUse })
      return code
    },
    /** Whether a request has a code, which is of no use afterwards. */
    take: ({ headers, method, url }: Guard.Asked): boolean => {
      if (method !== "POST" || url !== exchange) return false
      const [code = "", found] = Array.from(codes).find(([code]) => Guard.knows(code, headers.authorization)) ?? []
      if (found === undefined || found.until < performance.now()) return false
      codes.delete(code)
      found.onUse()
      return true
    }
  }
}

const makeServer = (
  handle: (request: IncomingMessage, response: ServerResponse) => void,
  token: string,
  takesCode: (request: Guard.Asked) => boolean
): Server => {
  const server = createServer({
    headersTimeout: 10_000,
    requestTimeout: 30_000,
    keepAliveTimeout: 5000,
    connectionsCheckingInterval: 5000,
    maxHeaderSize: 16_384
  })
  server.maxConnections = mostConnections
  // Who reads nothing for so long gets no more. Events come more often, so this ends no page that reads them.
  server.timeout = 60_000
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    for (const [name, value] of Object.entries(Page.headers)) response.setHeader(name, value)
    const refusal = Guard.refusal(request, { port: portOf(server), token })
    if (refusal === undefined) {
      // To ask something of many jobs takes its time.
      if (request.method === "POST") request.socket.setTimeout(0)
      handle(request, response)
    } else if (refusal.status === 401 && takesCode(request)) {
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ token }))
    } else refuse(request, response, refusal)
  }
  server.on("request", onRequest)
  // Who asks first whether a body is wanted is told before it comes.
  server.on("checkContinue", (request: IncomingMessage, response: ServerResponse) => {
    if (Guard.refusal(request, { port: portOf(server), token }) === undefined) response.writeContinue()
    onRequest(request, response)
  })
  return server
}

const portOf = (server: Server): number => {
  const address = server.address()
  return typeof address === "object" && address !== null ? address.port : 0
}

const listen = (server: Server, port: number): Effect.Effect<number, PortUnavailable> =>
  Effect.callback((resume) => {
    const onError = ({ code = "?" }: NodeJS.ErrnoException) => resume(Effect.fail(new PortUnavailable({ port, code })))
    server.once("error", onError)
    server.listen({ host: "127.0.0.1", port }, () => {
      server.off("error", onError)
      // A connection that can't be taken, for want of descriptors, ends no service.
      server.on("error", () => {})
      resume(Effect.succeed(portOf(server)))
    })
  })

/** Serves until the scope is closed. Gives an address that lets in once, soon, the browser that is started with it. */
export const serve = Effect.fnUntraced(function*({ offer, page, ports }: Options) {
  const routes = Layer.mergeAll(Handlers.layer, Page.layer(page), Health.layer).pipe(
    Layer.provide(HttpServer.layerServices)
  )
  const app = yield* HttpRouter.toHttpEffect(routes)
  // What a page asks for several times a second is of no interest to who traces jobs, and a span for each costs time.
  const handle = yield* NodeHttpServer.makeHandler(app, { scope: yield* Effect.scope }).pipe(
    Effect.withTracerEnabled(false)
  )
  const token = secret()
  const codes = makeCodes()
  const server = makeServer(handle, token, codes.take)
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      server.close()
      // Pages keep theirs open for events.
      server.closeAllConnections()
    })
  )
  const port = yield* Effect.firstSuccessOf(ports.map((port) => listen(server, port)))
  const addressFor = (millis: number, onUse = () => {}): string =>
    `http://127.0.0.1:${port}/#code=${codes.add(millis, onUse)}`
  const next: Effect.Effect<void, Stop.Stop> = Effect.suspend(() =>
    offer(
      addressFor(Number.POSITIVE_INFINITY, () =>
        void Effect.runFork(Effect.catch(next, ({ sentence }) => complain(sentence))))
    )
  )
  yield* next
  return addressFor(startedMillis)
})
