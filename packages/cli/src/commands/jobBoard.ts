/**
 * Shows all jobs that are not over on the whole terminal, and asks of them what keys stand for.
 */
import * as JobHistory from "@fanout/core/JobHistory"
import type { JobId } from "@fanout/core/JobId"
import { JobManager } from "@fanout/core/JobManager"
import type * as JobState from "@fanout/core/JobState"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type { Key } from "node:readline"
import * as ExitCode from "../exit/ExitCode.ts"
import * as Signals from "../exit/Signals.ts"
import * as Stop from "../exit/Stop.ts"
import * as Process from "../host/Process.ts"
import { board, type BoardJob } from "../ui/board.ts"
import * as format from "../ui/format.ts"
import { settled } from "./jobsAsk.ts"

/** Whether a terminal shows the board, and takes keys. */
export const isPossible = (): boolean => {
  const { env, stdin, stdout } = Process.current()
  return stdin.isTTY && stdout.isTTY && env["TERM"] !== "dumb"
}

/** How often the board is drawn anew. */
const everyMillis = 500

/** Most jobs of the board: more than any terminal has lines for. */
const most = 200

const order: ReadonlyArray<JobState.Tag> = ["Running", "Paused", "Queued"]

/** Curves are read of so many jobs: of those that run, which come first. */
const mostCurves = 50

/** Reads the jobs that are not over, those that run first: a long queue hides none of them. */
const readJobs = Effect.gen(function*() {
  const manager = yield* JobManager
  const { title } = yield* Effect.promise(() => import("../ui/jobText.ts"))
  const listed = yield* Effect.forEach(order, (state) => manager.overview({ states: [state], limit: most }))
  const jobs = yield* Effect.forEach(listed.flat().slice(0, most), (one, index) =>
    Effect.map(
      one.record.state._tag === "Running" && index < mostCurves
        ? manager.history(one.record.id)
        : Effect.succeed(JobHistory.empty),
      (history): BoardJob => ({ ...one, history, title: title(one.record) })
    ))
  return { jobs, counts: yield* manager.counts }
})

/** What keys ask of the selected job. */
const asks = { p: "pause", r: "resume", C: "cancel" } as const

const isAsk = (key: string): key is keyof typeof asks => Object.hasOwn(asks, key)

/** In the mode of the board, the terminal sends Ctrl-C as a character. */
const interrupt = "\u0003"

/** Ctrl-Z stops the process until the shell has it go on. */
const stop = "\u001a"

/** Keys that end the board. */
const ends = new Set(["q", "\u001b", interrupt, "\u0004"])

/** How far keys move the selection. */
const moves: Readonly<Record<string, number>> = { j: 1, k: -1, "\u001b[B": 1, "\u001b[A": -1 }

/** Takes another screen, without the cursor, and keys one by one. */
const enter = ({ stdin, stdout }: Process.Process): void => {
  stdin.setRawMode(true)
  stdout.write("\u001b[?1049h\u001b[?25l")
}

/** Leaves the terminal as it was. */
const restore = ({ stdin, stdout }: Process.Process): void => {
  stdout.write("\u001b[?25h\u001b[?1049l")
  stdin.setRawMode(false)
}

/** Gives the terminal to the board, and takes it back as it was. Keys come through the queue, but for the last one. */
const terminal = Effect.acquireRelease(
  Effect.gen(function*() {
    const { emitKeypressEvents } = yield* Effect.promise(() => import("node:readline"))
    const keys = yield* Queue.unbounded<string>()
    const last = yield* Deferred.make<string>()
    const self = Process.current()
    const leave = () => restore(self)
    const onKey = (_: string, { sequence = "" }: Key) => {
      if (sequence === stop) {
        leave()
        process.kill(process.pid, "SIGTSTP")
        enter(self)
      } else if (ends.has(sequence)) Deferred.doneUnsafe(last, Effect.succeed(sequence))
      else Queue.offerUnsafe(keys, sequence)
    }
    emitKeypressEvents(self.stdin)
    enter(self)
    self.stdin.resume().on("keypress", onKey)
    // A second signal ends the process at once.
    self.once("exit", leave)
    return { keys, last, leave, onKey, self }
  }),
  ({ leave, onKey, self }) =>
    Effect.sync(() => {
      self.off("exit", leave)
      leave()
      self.stdin.off("keypress", onKey).pause()
    })
)

/** Shows the board until somebody leaves it. */
export const show = Effect.scoped(Effect.gen(function*() {
  const manager = yield* JobManager
  const { keys, last } = yield* terminal
  const signal = yield* Signals.listen
  let found: Effect.Success<typeof readJobs> = { jobs: [], counts: {} }
  let selected: JobId | undefined
  let said = ""
  /** The job that was to be cancelled: only the same key once more does that. */
  let doubted: JobId | undefined

  const draw = Effect.map(Clock.currentTimeMillis, (now) => {
    const { stdout } = Process.current()
    const lines = board({ ...found, selected, said, now }, { columns: stdout.columns || 80, rows: stdout.rows || 24 })
    stdout.write(`\u001b[H${lines.map((line) => `\u001b[K${line}`).join("\n")}\u001b[J`)
  })
  const look = Effect.map(readJobs, (next) => {
    found = next
    if (!next.jobs.some(({ record }) => record.id === selected)) selected = next.jobs[0]?.record.id
  })
  const press = Effect.fnUntraced(function*(key: string) {
    const index = found.jobs.findIndex(({ record }) => record.id === selected)
    const to = found.jobs[index + (moves[key] ?? 0)]
    if (key in moves && to !== undefined) selected = to.record.id
    const isSure = doubted === selected
    doubted = undefined
    if (!isAsk(key) || selected === undefined) return
    const id = selected
    if (asks[key] === "cancel" && !isSure) {
      doubted = id
      said = `Cancel job ${id}? C again does.`
      return
    }
    said = yield* manager[asks[key]](id).pipe(
      Effect.andThen(Effect.forkScoped(Effect.ignore(settled(id)))),
      Effect.as(`Job ${id} was asked to ${asks[key]}.`),
      Effect.catch((error) => Effect.succeed(format.printable(error.message)))
    )
    yield* look
  })

  const redraw = Effect.forever(look.pipe(Effect.andThen(draw), Effect.andThen(Effect.sleep(everyMillis))))
  const obey = Effect.forever(
    Effect.flatMap(Queue.take(keys), (key) => Effect.andThen(press(key), draw))
  )
  const leave = Effect.map(Deferred.await(last), (key) => key === interrupt ? "SIGINT" as const : undefined)
  const stoppedBy = yield* Effect.raceAllFirst([redraw, obey, leave, signal])
  if (stoppedBy !== undefined) return yield* Stop.withCode(ExitCode.ofSignal(stoppedBy))
}))
