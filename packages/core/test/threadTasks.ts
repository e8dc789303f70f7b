import * as Interrupter from "@fanout/core/Interrupter"
import * as Lease from "@fanout/core/Lease"
import * as Progress from "@fanout/core/Progress"
import * as Task from "@fanout/core/Task"
import * as TaskCheckpoint from "@fanout/core/TaskCheckpoint"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Transferable from "effect/workers/Transferable"
import { spawn } from "node:child_process"
import * as fs from "node:fs"

class Bad extends Schema.TaggedError<Bad>("Bad")("Bad", { n: Schema.Number }) {}

/**
 * Does to its thread, or to its fiber, what its payload says. Of "fails, then exits, then yields" the first attempt
 * fails, the second exits, and all others yield.
 */
export const Act = Task.make("test/Act", {
  payload: { n: Schema.Number, act: Schema.String, when: Schema.optionalKey(Schema.Date) },
  retry: Schedule.recurs(1),
  busy: ({ n }) => n === 503 ? "10 millis" : undefined,
  success: Schema.Struct({ n: Schema.Number, thread: Schema.Boolean, at: Schema.Option(Schema.Date) }),
  error: Bad,
  key: ({ n }) => String(n),
  pool: "cpu",
  timeout: "1 second"
})

/** Gives bytes, and says how many are left of those that it gave before: moved ones are gone. */
export const Bytes = Task.make("test/Bytes", {
  payload: { size: Schema.Number },
  success: Schema.Struct({ bytes: Transferable.Uint8Array, left: Schema.Number }),
  pool: "cpu"
})
export class Tasks extends RpcGroup.make(Act, Bytes) {}

/** What a test whose threads are its own says to its tasks, and how many of them have begun. */
export const told = { now: false, begun: 0 }

const pages = TaskCheckpoint.make(Schema.Number)

const spin = (millis: number) => {
  const end = performance.now() + millis
  while (performance.now() < end);
}

/** A process goes on for a while after it has killed itself. */
const endedBy = (signal: NodeJS.Signals) =>
  Effect.andThen(Effect.sync(() => process.kill(process.pid, signal)), Effect.never)

let given = new Uint8Array()

export const handlers = (thread: boolean) =>
  Tasks.toLayer({
    "test/Bytes": ({ size }) =>
      Effect.sync(() => {
        const left = given.length
        given = new Uint8Array(size).fill(size)
        return { bytes: given, left }
      }),
    "test/Act": Effect.fnUntraced(function*({ act: acts, n, when }) {
      told.begun++
      const attempt = yield* Task.CurrentAttempt
      const each = acts.split(", then ")
      const act = each[attempt - 1] ?? each.at(-1) ?? ""
      // A pipe that nobody writes to: the call does not return.
      if (act.startsWith("opens ")) {
        fs.writeFileSync(`${act.slice("opens ".length)} is opened`, "")
        fs.closeSync(fs.openSync(act.slice("opens ".length), "r"))
      }
      if (act.startsWith("notes itself in ")) fs.appendFileSync(act.slice("notes itself in ".length), `${n}\n`)
      if (act.startsWith("hoards in ")) {
        fs.writeFileSync(`${act.slice("hoards in ".length)}/cgroup.procs`, String(process.pid))
        // Bytes of array buffers, which no limit of V8 counts; not without end, if nothing stops it.
        const hoard = Array.from({ length: 64 }, () => Buffer.alloc(10_000_000, 1))
        return { n: hoard.length, thread, at: Option.none() }
      }
      switch (act) {
        case "fails":
          return yield* new Bad({ n })
        case "skips":
          return yield* Task.skip(`skipped ${n}`)
        case "dies":
          return yield* Effect.die(new RangeError(`died ${n}`))
        case "interrupts":
          return yield* Effect.interrupt
        case "exits":
          if (thread) process.exit(7)
          break
        case "segfaults":
          if (thread) return yield* endedBy("SIGSEGV")
          break
        case "is killed":
          if (thread) return yield* endedBy("SIGKILL")
          break
        case "starts a process": {
          // One that outlives whoever starts it, unless somebody ends it.
          const { pid = 0 } = spawn("sleep", ["1000"], { stdio: "ignore" })
          return { n: pid, thread, at: Option.none() }
        }
        case "tells its process":
          return { n: process.pid, thread, at: Option.none() }
        case "tells its attempt":
          return { n: attempt, thread, at: Option.none() }
        case "throws": {
          queueMicrotask(() => {
            throw new Error(`thrown ${n}`)
          })
          return yield* Effect.never
        }
        case "leaves a bomb":
          // oxlint-disable-next-line no-restricted-globals -- nothing of Effect throws outside of a fiber
          setTimeout(() => {
            throw new Error(`left by ${n}`)
          })
          break
        case "fills": {
          const hoard: Array<Array<number>> = []
          for (;;) hoard.push(Array<number>(100_000).fill(n))
        }
        case "spins":
          for (;;);
        case "spins until it is stopped": {
          const interrupter = yield* Interrupter.Interrupter
          while (interrupter.reason === undefined) spin(1)
          return yield* Interrupter.stopped
        }
        case "spins long":
          spin(300)
          break
        case "spins briefly":
          spin(5)
          break
        case "spins a while longer":
          spin(40)
          break
        case "spins a while":
          spin(20)
          break
        case "reads its arguments":
          return { n: Number(process.argv[2]), thread, at: Option.none() }
        case "naps":
          yield* Effect.sleep(5)
          break
        case "yields":
          yield* Effect.yieldNow
          break
        case "checks":
          for (;;) {
            spin(1)
            yield* Effect.yieldNow
            yield* Interrupter.check
          }
        case "has a lease":
          return { n: (yield* Lease.Lease).token, thread, at: Option.none() }
        case "publishes while it may":
          for (;;) {
            spin(1)
            yield* Effect.yieldNow
            yield* Lease.check
            yield* Interrupter.check
          }
        case "waits for the stop":
          return yield* Interrupter.stopped
        case "sleeps unless told":
          if (!told.now) yield* Effect.sleep("1 hour")
          break
        case "sleeps":
          yield* Effect.sleep("1 hour")
          break
        case "prints":
          // oxlint-disable-next-line no-console -- what a library prints that knows nothing of threads
          console.log(`printed by ${n}`)
          yield* Effect.log(`logged by ${n}`)
          break
        case "waits after a page": {
          const before = Option.getOrElse(yield* pages.get, () => 0)
          yield* Progress.add("pages", 1)
          if (before > 0) break
          yield* pages.save(1)
          return yield* Interrupter.stopped
        }
        case "commits":
          yield* Progress.total("pages", 9)
          yield* Progress.add("pages", 1)
          yield* pages.commit(1)
          break
        case "adds around a save": {
          const before = Option.getOrElse(yield* pages.get, () => 0)
          if (before === 0) {
            yield* Progress.add("pages", 5)
            yield* pages.save(5)
          }
          yield* Progress.add("pages", 3)
          if (before === 0) return yield* new Bad({ n })
          break
        }
        case "is refused twice": {
          const before = Option.getOrElse(yield* pages.get, () => 0)
          if (before === 2) break
          yield* pages.save(before + 1)
          return yield* new Bad({ n: 503 })
        }
        case "starts over": {
          const before = Option.getOrElse(yield* pages.get, () => 0)
          yield* Progress.add("pages", 7)
          if (before === 0) {
            yield* pages.save(5)
            yield* Progress.add("pages", 1)
            return yield* new Bad({ n })
          }
          yield* pages.startOver(9)
          yield* Progress.add("pages", Option.getOrElse(yield* pages.get, () => 0))
          break
        }
        case "pages": {
          const before = Option.getOrElse(yield* pages.get, () => 0)
          for (let page = before + 1; page <= 5; page++) {
            yield* Progress.add("pages", 1)
            yield* pages.save(page)
            if (page === 3 && before === 0) return yield* new Bad({ n: before })
          }
        }
      }
      return { n, thread, at: Option.fromUndefinedOr(when) }
    })
  })
