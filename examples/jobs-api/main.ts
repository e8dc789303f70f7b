/**
 * Serves jobs over HTTP. Each job posts a message to many addresses. Server-sent events show the progress of a job.
 *
 * The example is a whole service: a typed API (`api.ts`), a job, and a runtime. After a kill, the next start goes on
 * with all jobs that are not over. Only the few unrecorded messages are sent again. SIGTERM hands the jobs back first.
 * `PORT`, `HOST` and `DATABASE` are settings. Two services on one database share the work. The service has no
 * authentication, and posts to any address. So the default host is this machine alone.
 *
 * `PORT=3000 npx node --conditions=@fanout/source examples/jobs-api/main.ts`, then with a `hello.json` such as
 * `{ "name": "hello", "text": "Hi!", "urls": ["http://localhost:8080/"] }`
 * `curl -d @hello.json -H content-type:application/json localhost:3000/messages` and
 * `curl -N localhost:3000/messages/ID/progress`.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Job from "@fanout/core/Job"
import type { JobId } from "@fanout/core/JobId"
import * as JobManager from "@fanout/core/JobManager"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import * as Fanout from "@fanout/core/node"
import * as Source from "@fanout/core/Source"
import * as Task from "@fanout/core/Task"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { createServer } from "node:http"
import { Api, Message } from "./api.ts"

const { DATABASE: filename = "jobs-api.db" } = process.env

class NotSent extends Schema.TaggedError<NotSent>("jobs-api/NotSent")("NotSent", { why: Schema.String }) {}

const Send = Task.make("jobs-api/Send", {
  payload: { text: Schema.String, url: Schema.String },
  error: NotSent,
  key: ({ url }) => url,
  pool: "network",
  timeout: "10 seconds"
})

const Tasks = RpcGroup.make(Send).toLayer(Effect.map(HttpClient.HttpClient, (client) => ({
  "jobs-api/Send": ({ text, url }) =>
    HttpClient.filterStatusOk(client).post(url, { body: HttpBody.text(text) }).pipe(
      Effect.mapError(({ message }) => new NotSent({ why: message })),
      Effect.asVoid
    )
}))).pipe(Layer.provide(FetchHttpClient.layer))

const SendAll = Job.make("jobs-api/SendAll", {
  payload: Message,
  idempotencyKey: ({ name }) => name
})

const Program = SendAll.toLayer(Effect.fnUntraced(function*({ text, urls }) {
  const { fanOut } = yield* TaskDispatcher
  const source = Source.map(Source.fromIterable(urls), (url) => ({ text, url }))
  yield* fanOut("urls", Send, source, { concurrency: 16, flushEvery: 32 })
})).pipe(Layer.provide(Tasks))

/** An unknown job is a mistake of the client: status 404. A failure of the store is a mistake of the service: 500. */
const orNotFound = <A, E>(effect: Effect.Effect<A, E | JobStoreError>) =>
  effect.pipe(Effect.catchReasons("JobStoreError", { JobNotFound: (reason) => Effect.fail(reason) }, Effect.die))

const Handlers = HttpApiBuilder.group(Api, "messages", (handlers) =>
  Effect.map(JobManager.JobManager, (manager) => {
    const statusOf = (id: JobId) =>
      Effect.map(
        Effect.all([manager.get(id), manager.progress(id)]),
        ([{ state }, { tally }]) => ({ id, state: state._tag, sent: tally.done, failed: tally.failed })
      )
    // An event only says that the job has changed. So each event reads the whole status.
    const follow = (id: JobId) => Stream.orDie(Stream.mapEffect(manager.watch(id), () => statusOf(id)))
    return handlers.handleAll({
      start: ({ payload }) => Effect.orDie(Effect.flatMap(manager.start(SendAll, payload), ({ id }) => statusOf(id))),
      status: ({ params: { id } }) => orNotFound(statusOf(id)),
      progress: ({ params: { id } }) => orNotFound(Effect.as(manager.get(id), follow(id))),
      ask: ({ params: { action, id } }) => orNotFound(Effect.andThen(manager[action](id), statusOf(id)))
    })
  }))

const Runtime = Layer.provide(Fanout.layer({ filename, jobs: [SendAll] }), Program)

const Server = NodeHttpServer.layerConfig(createServer, {
  port: Config.Port("PORT").pipe(Config.withDefault(3000)),
  host: Config.String("HOST").pipe(Config.withDefault("127.0.0.1")),
  // A client that follows a job would otherwise keep this process alive until the job is over.
  gracefulShutdownTimeout: Config.succeed("500 millis" as const)
})

const Routes = HttpApiBuilder.layer(Api, { openapiPath: "/openapi.json" }).pipe(Layer.provide(Handlers))

HttpRouter.serve(Routes).pipe(Layer.provide([Runtime, Server]), Layer.launch, NodeRuntime.runMain)
