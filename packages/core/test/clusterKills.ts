/**
 * A job of many elements on workers and owners that are killed, and what comes of each element.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { SqlClient } from "effect/sql/SqlClient"
import * as fs from "node:fs"
import { type Process, startOwner, startWorker, startWorkers, until } from "./clusterProcesses.ts"
import { clientOf, type Registry, runsIn, runsOf } from "./clusterTasks.ts"

interface Options {
  readonly registry: Registry
  /** A file for the runs of all elements. */
  readonly notes: string
  readonly count: number
  readonly workers: number
  /** How many elements an owner has on their way, 64 by default. */
  readonly concurrency?: number
  /** Milliseconds from one kill of a worker to the next, on average. */
  readonly everyMillis: number
}

/** How many endings an owner records at once. */
const flushEvery = 192

/** What became of the elements, by the runs that workers have noted, and by what owners have recorded of them. */
const endsOf = (count: number, runs: Uint32Array, recorded: ReadonlyArray<{ ran: string; elements: Uint8Array }>) => {
  const last = new Int32Array(count).fill(-1)
  for (let run = 0; run < runs.length; run++) last[runs[run] ?? 0] = run
  const times = new Uint8Array(count)
  let again = 0
  for (const { elements, ran } of recorded) {
    for (const n of new Uint32Array(elements.slice().buffer)) {
      times[n] = (times[n] ?? 0) + 1
      if ((last[n] ?? 0) >= Number(ran)) again++
    }
  }
  return {
    neverRun: last.filter((run) => run === -1).length,
    /** Elements that no owner has recorded, and that were recorded more than once. */
    lost: times.filter((times) => times === 0).length,
    twice: times.filter((times) => times > 1).length,
    /** Elements that were run after an owner had recorded them. */
    again
  }
}

const residentMiB = (pid: number): number => {
  const [, kiB = "0"] = /VmRSS:\s*(\d+) kB/.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8")) ?? []
  return Number(kiB) / 1024
}

/**
 * Kills a worker after the other, and starts it again. Kills the owner after 30 % of the runs, and the next one after
 * 60 %. Each time, another owner is there that waits for the job.
 */
export const surviveKills = Effect.fnUntraced(
  function*({ concurrency = 64, count, everyMillis, notes, registry, workers: size }: Options) {
    const sql = Context.get(yield* Layer.build(clientOf(registry)), SqlClient)
    const walBytes = Effect.map(
      sql<{ bytes: string }>`select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') as bytes`,
      ([row]) => Number(row?.bytes)
    )
    const workers = Array.from(yield* startWorkers(registry, size))
    const owners: Array<{ readonly process: Process; readonly residentMiB: Array<number> }> = []
    let kills = 0
    const killWorkers = Effect.forever(Effect.gen(function*() {
      yield* Effect.sleep(everyMillis * (0.5 + Math.random()))
      const index = Math.floor(Math.random() * size)
      yield* workers[index]?.end ?? Effect.void
      kills++
      workers[index] = yield* startWorker(registry, { port: workers[index]?.port ?? 0 })
    }))
    const sample = Effect.forever(Effect.gen(function*() {
      yield* Effect.sleep(1000)
      const { process, residentMiB: sizes } = owners.at(-1) ?? {}
      if (process?.isAlive === true) sizes?.push(residentMiB(process.pid))
    }))
    const millis = 120_000 + count
    const own = Effect.gen(function*() {
      const start = () => startOwner(registry, { count, concurrency, steps: 0, millis: 0, notes })
      let owner = yield* start()
      owners.push({ process: owner, residentMiB: [] })
      for (const share of [0.3, 0.6]) {
        // It is there in time: one that comes when the job is over begins another one.
        const next = yield* start()
        yield* next.prints("\n")
        yield* until("runs", () => !owner.isAlive || runsIn(notes) > share * count, millis)
        yield* owner.end
        owner = next
        owners.push({ process: owner, residentMiB: [] })
      }
      yield* until("end", () => !owner.isAlive, millis)
      yield* owner.end
      if (owner.child.exitCode !== 0) return yield* Effect.die(new Error(owner.output))
      return JSON.parse(owner.output.trim().split("\n").at(-1) ?? "")
    })

    const [start, walBefore] = [performance.now(), yield* walBytes]
    const { done, failed } = yield* Effect.raceFirst(own, Effect.raceFirst(killWorkers, sample))
    const seconds = (performance.now() - start) / 1000
    const written = (yield* walBytes) - walBefore
    const recorded = yield* sql<{ ran: string; elements: Uint8Array }>`select ran, elements from walked`
    const ran = runsOf(notes)
    const output = owners.map(({ process }) => process.output).join("\n")
    const inHand = Array.from(output.matchAll(/is lost with (\d+) tasks/g), ([, n]) => Number(n))
    return {
      done,
      failed,
      ...endsOf(count, ran, recorded),
      redone: ran.length - count,
      /** What workers and owners had in hand when they were killed, at most. */
      inHand: inHand.reduce((sum, n) => sum + n, (owners.length - 1) * (concurrency + flushEvery)),
      kills,
      seconds,
      walBytes: written,
      /** Of each owner, second by second. */
      residentMiB: owners.map(({ residentMiB }) => residentMiB),
      output
    }
  }
)
