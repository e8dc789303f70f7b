/**
 * Serves jobs over HTTP: start one, follow it by server-sent events, pause, resume, cancel and retry it.
 *
 * It shows a whole service: an API with types (`api.ts`), a job (`invoicing.ts`), and one runtime that serves the one
 * and runs the other. Kill it, and the next start goes on with what was under way, with nobody asking; a client that
 * follows a job connects again and sees how far it is. SIGTERM hands jobs back first. `PORT`, `HOST` and `DATABASE`
 * say where; two of these on one database share the work.
 *
 * `PORT=3000 npx node --conditions=@fanout/source examples/jobs-api/main.ts`, then
 * `curl -d '{"month":"2026-11","customers":5000}' -H content-type:application/json localhost:3000/invoicings`
 * and `curl -N localhost:3000/invoicings/ID/progress`.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as JobId from "@fanout/core/JobId"
import * as JobManager from "@fanout/core/JobManager"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import { layerOwnerLiveness, layerSqlClient, layerSqlite } from "@fanout/core/node"
import * as Pools from "@fanout/core/Pools"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { createServer } from "node:http"
import { Api, NoSuchJob, NotPossible } from "./api.ts"
import { Invoicing, Program } from "./invoicing.ts"

/** A job that is not there is the client's mistake; a store that fails is ours, and answered with 500. */
const orNoSuchJob = <A, E>(effect: Effect.Effect<A, E | JobStoreError>) =>
  effect.pipe(Effect.catchReasons("JobStoreError", {
    JobNotFound: ({ id }) => Effect.fail(new NoSuchJob({ id }))
  }, Effect.die))

const Handlers = HttpApiBuilder.group(
  Api,
  "invoicings",
  Effect.fnUntraced(function*(handlers) {
    const manager = yield* JobManager.JobManager
    const statusOf = (id: JobId.JobId) =>
      Effect.map(Effect.all([manager.get(id), manager.progress(id)]), ([{ state }, { tally }]) => ({
        id,
        state: state._tag,
        done: tally.done,
        failed: tally.failed
      }))
    return handlers.handleAll({
      start: ({ payload }) =>
        manager.start(Invoicing, payload).pipe(Effect.flatMap(({ id }) => statusOf(id)), Effect.orDie),
      status: ({ params }) => orNoSuchJob(statusOf(JobId.make(params.id))),
      progress: ({ params }) =>
        Effect.sync(() => JobId.make(params.id)).pipe(
          Effect.tap((id) => orNoSuchJob(manager.get(id))),
          // An event says that something is new; a status says what there is.
          Effect.map((id) =>
            manager.watch(id).pipe(
              Stream.filter(({ _tag }) => _tag === "State" || _tag === "Progress"),
              Stream.mapEffect(() => statusOf(id)),
              Stream.orDie
            )
          )
        ),
      ask: ({ params }) => {
        const id = JobId.make(params.id)
        return orNoSuchJob(Effect.andThen(manager[params.action](id), statusOf(id))).pipe(
          Effect.catchTag("JobManagerError", ({ message }) => Effect.fail(new NotPossible({ why: message })))
        )
      }
    })
  })
)

const Runtime = Layer.unwrap(Effect.map(
  Config.String("DATABASE").pipe(Config.withDefault("jobs-api.db")),
  (filename) =>
    JobManager.layer({ jobs: [Invoicing] }).pipe(
      Layer.provide([Layer.provide(Program, layerSqlClient({ filename })), Pools.layer({ network: 16 })]),
      Layer.provide([layerSqlite({ filename }), layerOwnerLiveness])
    )
))

const Server = NodeHttpServer.layerConfig(createServer, {
  port: Config.Port("PORT").pipe(Config.withDefault(3000)),
  host: Config.String("HOST").pipe(Config.withDefault("127.0.0.1")),
  // Who follows a job would hold up the end of this process until the job is over.
  gracefulShutdownTimeout: Config.succeed("500 millis" as const)
})

const Routes = HttpApiBuilder.layer(Api, { openapiPath: "/openapi.json" }).pipe(Layer.provide(Handlers))

HttpRouter.serve(Routes).pipe(Layer.provide([Runtime, Server]), Layer.launch, NodeRuntime.runMain)
