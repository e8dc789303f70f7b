/**
 * Serves jobs over HTTP, each of which posts a message to many addresses. Server-sent events tell how far one is.
 *
 * It shows a whole service: an API with types (`api.ts`), a job, and a runtime. Kill it, and the next start goes on
 * with what was under way, with nobody asking; only the few that were not recorded are sent again. SIGTERM hands jobs
 * back first. `PORT`, `HOST` and `DATABASE` say where; two of these on one database share the work. It asks nobody who
 * they are and posts wherever they say, so by default only this machine reaches it.
 *
 * `PORT=3000 npx node --conditions=@fanout/source examples/jobs-api/main.ts`, then with a `hello.json` such as
 * `{ "name": "hello", "text": "Hi!", "urls": ["http://localhost:8080/"] }`
 * `curl -d @hello.json -H content-type:application/json localhost:3000/messages` and
 * `curl -N localhost:3000/messages/ID/progress`.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as FanOut from "@fanout/core/FanOut"
import * as Job from "@fanout/core/Job"
import type { JobId } from "@fanout/core/JobId"
import * as JobManager from "@fanout/core/JobManager"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import { layerOwnerLiveness, layerSqlite } from "@fanout/core/node"
import * as Pools from "@fanout/core/Pools"
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
import * as Option from "effect/Option"
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
  error: FanOut.FanOutStopped,
  idempotencyKey: ({ name }) => name
})

const Program = SendAll.toLayer(Effect.fnUntraced(function*({ text, urls }) {
  const { fanOut } = yield* TaskDispatcher
  const source = (after: Option.Option<string>) =>
    Stream.fromIterable(urls.entries()).pipe(
      Stream.drop(Option.match(after, { onNone: () => 0, onSome: (cursor) => Number(cursor) + 1 })),
      Stream.map(([i, url]) => ({ _tag: "Item" as const, cursor: String(i), payload: { text, url } }))
    )
  yield* fanOut("urls", Send, source, { concurrency: 16, flushEvery: 32 })
})).pipe(Layer.provide(Tasks))

/** A job that is not there is the client's mistake; a store that fails is ours, and answered with 500. */
const orNotFound = <A, E>(effect: Effect.Effect<A, E | JobStoreError>) =>
  effect.pipe(Effect.catchReasons("JobStoreError", { JobNotFound: (reason) => Effect.fail(reason) }, Effect.die))

const Handlers = HttpApiBuilder.group(Api, "messages", (handlers) =>
  Effect.map(JobManager.JobManager, (manager) => {
    const statusOf = (id: JobId) =>
      Effect.map(
        Effect.all([manager.get(id), manager.progress(id)]),
        ([{ state }, { tally }]) => ({ id, state: state._tag, sent: tally.done, failed: tally.failed })
      )
    // An event says that something is new; a status says what there is.
    const follow = (id: JobId) => Stream.orDie(Stream.mapEffect(manager.watch(id), () => statusOf(id)))
    return handlers.handleAll({
      start: ({ payload }) => Effect.orDie(Effect.flatMap(manager.start(SendAll, payload), ({ id }) => statusOf(id))),
      status: ({ params: { id } }) => orNotFound(statusOf(id)),
      progress: ({ params: { id } }) => orNotFound(Effect.as(manager.get(id), follow(id))),
      ask: ({ params: { action, id } }) => orNotFound(Effect.andThen(manager[action](id), statusOf(id)))
    })
  }))

const Runtime = JobManager.layer({ jobs: [SendAll] }).pipe(
  Layer.provide([Program, Pools.layer(), layerSqlite({ filename }), layerOwnerLiveness])
)

const Server = NodeHttpServer.layerConfig(createServer, {
  port: Config.Port("PORT").pipe(Config.withDefault(3000)),
  host: Config.String("HOST").pipe(Config.withDefault("127.0.0.1")),
  // Who follows a job would hold up the end of this process until the job is over.
  gracefulShutdownTimeout: Config.succeed("500 millis" as const)
})

const Routes = HttpApiBuilder.layer(Api, { openapiPath: "/openapi.json" }).pipe(Layer.provide(Handlers))

HttpRouter.serve(Routes).pipe(Layer.provide([Runtime, Server]), Layer.launch, NodeRuntime.runMain)
