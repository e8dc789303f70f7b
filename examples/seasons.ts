/**
 * A service whose jobs have children and a schedule: a season is a job, and the letters to each town are a child of it.
 * `POST /seasons` starts the season of the year, waits for it, and tells how many letters were sent. After a kill and a
 * new start, the season goes on. Every Monday a season starts by itself.
 *
 * `npx node --conditions=@fanout/source examples/seasons.ts club.db 3000`
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as ChildJobs from "@fanout/core/ChildJobs"
import * as Job from "@fanout/core/Job"
import * as JobManager from "@fanout/core/JobManager"
import * as Fanout from "@fanout/core/node"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { createServer } from "node:http"

const [filename = "club.db", port = "3000"] = process.argv.slice(2)
const towns = ["Ulm", "Bonn", "Kiel"]

const Town = Job.make("club/Town", { payload: Schema.String, success: Schema.Array(Schema.String) })
const TownProgram = Town.toLayer((town) =>
  TaskDispatcher.use(({ forEach }) => {
    const letter = (n: number) => Effect.delay(Effect.succeed(`${town} ${n}`), "100 millis")
    return forEach("letters", [1, 2, 3, 4, 5], letter, { success: Schema.String, concurrency: 1 })
  })
)
const Season = Job.make("club/Season", { payload: Schema.Array(Schema.String), success: Schema.Int })
const SeasonProgram = Season.toLayer((towns) =>
  Effect.forEach(towns, (town) => ChildJobs.run(town, Town, town), { concurrency: 2 }).pipe(
    Effect.map((letters) => letters.flat().length),
    Effect.catchTag(["JobNotCompleted", "JobManagerError"], Effect.die)
  )
)

const Routes = HttpRouter.use(Effect.fnUntraced(function*(router) {
  const manager = yield* JobManager.JobManager
  yield* manager.schedule(Season, towns, { name: "monday", cron: "0 9 * * MON", timeZone: "UTC" })
  const letters = Effect.map(Season.execute(towns), (count) => HttpServerResponse.text(`${count} letters`))
  yield* router.add("POST", "/seasons", letters)
  yield* router.add("GET", "/schedules", Effect.flatMap(manager.schedules, HttpServerResponse.json))
}))
const Runtime = Layer.provide(Fanout.layer({ filename, jobs: [Season, Town] }), [SeasonProgram, TownProgram])
HttpRouter.serve(Routes).pipe(
  Layer.provide([Runtime, NodeHttpServer.layer(createServer, { port: Number(port) })]),
  Layer.launch,
  NodeRuntime.runMain
)
