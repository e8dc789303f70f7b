/**
 * Puts the page of jobs together: the server, and what this command knows of jobs and of its machine.
 */
import type { JobId } from "@fanout/core/JobId"
import { JobManager } from "@fanout/core/JobManager"
import * as FilePath from "@fanout/ops/FilePath"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import type * as Api from "./api/Api.ts"
import type { Knowledge } from "./api/ApiRows.ts"
import * as Server from "./api/Server.ts"
import { ServerProgram } from "./api/ServerProgram.ts"
import * as examination from "./commands/examination.ts"
import * as ScheduledCommand from "./host/ScheduledCommand.ts"
import { jobs, layer } from "./MainLayer.ts"
import * as Arguments from "./options/Arguments.ts"
import type { Database } from "./options/Database.ts"
import { page, version } from "./Package.ts"
import { printable } from "./ui/format.ts"
import * as jobText from "./ui/jobText.ts"
import * as scheduleText from "./ui/scheduleText.ts"

const names: ReadonlySet<string> = new Set(jobs.map(({ name }) => name))

/** What is said of a server that runs nothing. */
export const note = "Jobs that are queued wait until `fanout jobs work` or their own program runs them."

/** What a schedule runs, as a command where it is one of this program. */
export const scheduled: Knowledge["scheduled"] = ({ job, payload }) => {
  const title = { what: jobText.title({ name: job, payload }), command: null, folder: null }
  if (job !== ScheduledCommand.job.name) return title
  return Option.match(Schema.decodeUnknownOption(Schema.toCodecJson(ScheduledCommand.Payload))(payload), {
    onNone: () => title,
    onSome: ({ args, folder }) => {
      const what = scheduleText.command(args)
      return { what, command: `fanout ${what}`, folder: FilePath.display(folder) }
    }
  })
}

const look = (database: Database): Effect.Effect<Api.Examination> =>
  Effect.map(examination.examination(database, [Arguments.workingFolder()]), ({ checks, pools }) => ({
    checks: checks.map(({ found, ...check }) => ({ ...check, found: printable(found) })),
    pools: pools.map(({ bounds, ...pool }) => ({ ...pool, bounds: bounds ?? null }))
  }))

/** An owner obeys within a quarter of a second; a job without one stays as it was asked. */
const patience = "1500 millis"

/** Most time that it takes a program to clean up after a job here. */
const longest = "1 minute"

/** Jobs that were asked for something and have nobody who obeys. */
const unheard = (ids: ReadonlyArray<JobId>) =>
  JobManager.use((manager) =>
    Effect.filter(ids, (id) =>
      manager.status(id).pipe(
        Effect.map(({ isOwnerDead, record: { name, request, state } }) =>
          Option.isSome(request) && names.has(name) && (isOwnerDead || state._tag === "Queued")
        ),
        Effect.orElseSucceed(() => false)
      ))
  )

/**
 * Has jobs pause or clean up that nobody runs, as the commands do that ask the same. A manager of their own does so,
 * and ends with that: the one of this process runs no job, also not later.
 */
const obey = (database: Database, ids: ReadonlyArray<JobId>) =>
  Effect.gen(function*() {
    const manager = yield* JobManager
    yield* Effect.forEach(ids, manager.claim)
    while ((yield* unheard(ids)).length > 0) yield* Effect.sleep("100 millis")
  }).pipe(
    Effect.timeoutOption(longest),
    Effect.provide(layer(database, { claim: "none" })),
    Effect.ignore
  )

const carryOut = Effect.fnUntraced(function*(database: Database) {
  const manager = yield* JobManager
  const oneByOne = yield* Semaphore.make(1)
  const scope = yield* Effect.scope
  return (ids: ReadonlyArray<JobId>) =>
    Effect.sleep(patience).pipe(
      Effect.andThen(unheard(ids)),
      Effect.flatMap((left) => left.length === 0 ? Effect.void : oneByOne.withPermits(1)(obey(database, left))),
      Effect.provideService(JobManager, manager),
      Effect.forkIn(scope),
      Effect.asVoid
    )
})

/** How to serve jobs of a database. */
export interface Options {
  readonly database: Database
  readonly isReadOnly: boolean
  /** Whether this process runs what is queued. */
  readonly works: boolean
  readonly ports: ReadonlyArray<number>
  readonly offer: Server.Options["offer"]
}

/** Serves the jobs of a manager until the scope is closed. */
export const serve = Effect.fnUntraced(function*({ database, isReadOnly, offer, ports, works }: Options) {
  const about = { version, database: printable(database.shown), isReadOnly, works, note: works ? "" : note }
  return yield* Effect.provideService(Server.serve({ offer, ports, page }), ServerProgram, {
    about,
    knowledge: { title: jobText.title, field: jobText.field, scheduled, hasCode: (name) => names.has(name) },
    examination: look(database),
    carryOut: yield* carryOut(database)
  })
})
