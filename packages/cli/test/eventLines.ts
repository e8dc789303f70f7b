/**
 * Lines that the command writes for programs: of jobs that have run for a while, and of one that runs meanwhile.
 */
import * as JobManager from "@fanout/core/JobManager"
import * as Copy from "@fanout/ops/Copy"
import * as FilePath from "@fanout/ops/FilePath"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Process from "../src/host/Process.ts"
import { command, type Jobs, passing } from "./livedJobs.ts"
import { writtenProcess } from "./writtenProcess.ts"

/** Starts a command in a process of its own, which signals can be sent to. */
const started = Effect.fnUntraced(function*(args: ReadonlyArray<string>) {
  const { self, written } = writtenProcess({})
  const fiber = yield* Effect.forkChild(Effect.provideService(command(args), Process.Current, self))
  const shown = Effect.map(
    Fiber.join(fiber),
    (code) => `$ fanout ${args.join(" ")}\n${written.all}[exit ${code}]\n`
  )
  return { self, shown }
})

/** Commands that tell of a job, of each one that there is. */
const looks = ({ resting, running }: Jobs): ReadonlyArray<ReadonlyArray<string>> => [
  ["jobs", "list"],
  ["jobs", "list", "--state", "queued"],
  ...Object.values({ ...resting, ...running }).map((id) => ["jobs", "show", id]),
  ["jobs", "show", "--all", "--limit", "1", resting.copy],
  ...Object.values(resting).flatMap((id) => [["jobs", "watch", id], ["jobs", "logs", id]]),
  ["jobs", "logs", running.copying],
  ["jobs", "processes"],
  ["jobs", "limit"],
  ["schedule", "list"],
  ["schedule", "show", "nightly"],
  ["jobs", "pause", resting.copy]
]

/** A copy that is told of while it runs, by itself and among all jobs. */
const running = Effect.gen(function*() {
  const manager = yield* JobManager.JobManager
  const payload = yield* Copy.plan({
    sources: [FilePath.make("/mnt/nas/Music")],
    destination: FilePath.make("/mnt/other"),
    noTargetDirectory: false,
    conflict: "changed"
  })
  const all = yield* started(["jobs", "watch", "--json"])
  yield* passing("1 second")
  const { id } = yield* manager.start(Copy.job, payload, { limits: { bytesPerSecond: 2e6 } })
  const one = yield* started(["jobs", "watch", id, "--json"])
  for (let n = 0; n < 20; n++) yield* passing("200 millis")
  all.self.emit("SIGINT", "SIGINT")
  return [yield* one.shown, yield* all.shown]
})

export const eventLines = Effect.fnUntraced(function*(jobs: Jobs) {
  const parts: Array<string> = []
  for (const args of looks(jobs)) {
    const { shown } = yield* started([...args, "--json"])
    parts.push(yield* shown)
  }
  return [...parts, ...yield* Random.withSeed(running, "events")].join("\n")
})
