/**
 * Runs a command line with a host: to see which job it would start, or as the job of a tick.
 */
import * as ChildJobs from "@fanout/core/ChildJobs"
import { Interrupted } from "@fanout/core/Interrupter"
import { JobContext } from "@fanout/core/JobContext"
import { JobManager } from "@fanout/core/JobManager"
import { type JobSettings, JobStore } from "@fanout/core/JobStore"
import { JobStoreError } from "@fanout/core/JobStoreError"
import * as OwnerLiveness from "@fanout/core/OwnerLiveness"
import type * as Task from "@fanout/core/Task"
import * as CliConfig from "effect/cli/CliConfig"
import * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { platform, sentencesOf } from "./CommandLine.ts"
import { jobCommands } from "./commands/jobCommands.ts"
import * as ExitCode from "./exit/ExitCode.ts"
import * as Stop from "./exit/Stop.ts"
import * as Host from "./host/Host.ts"
import { CommandFailed, type Payload } from "./host/ScheduledCommand.ts"
import * as Settings from "./options/Settings.ts"

/** Only what starts jobs: no tick waits for other jobs, or changes schedules. */
const cli = Command.make("fanout").pipe(
  Command.withSubcommands(jobCommands),
  Command.withGlobalFlags([Settings.db, Settings.progressEvery])
)

/** Runs a command line on a database. What is wrong with the arguments is not printed. */
const run = (filename: string, args: ReadonlyArray<string>, host: Host.Host): Effect.Effect<void, Stop.Stop> =>
  Command.runWith(cli, { version: "" })(["--db", filename, ...args]).pipe(
    Effect.provideService(CliConfig.CliConfig, { builtIns: [] }),
    Effect.provideService(CliOutput.Presenter, { present: () => Effect.void }),
    Effect.provideService(Host.Current, host),
    Effect.provide(platform),
    Effect.mapError((error) => {
      if (error instanceof Stop.Stop) return error
      if (!(error instanceof CliError.ShowHelp)) return Stop.usage(error.message)
      if (error.errors.length === 0) return Stop.usage("Which command is to run?")
      const isUnknown = error.errors.some(({ _tag }) => _tag === "UnknownSubcommand")
      const known = isUnknown ? [`A schedule runs ${jobCommands.map(({ name }) => name).join(", ")}.`] : []
      return Stop.usage([...sentencesOf(error.errors), ...known].join(" "))
    })
  )

/** What else a command asks of a manager is of no use to a host. */
const services = Layer.mergeAll(
  Layer.mock(JobManager, { set: () => Effect.void }),
  OwnerLiveness.layerBlind
)

/** What a command line would start. */
export interface Planned {
  readonly name: string
  readonly settings: JobSettings
}

/** The job that a command line would start now, in that folder. */
export const plan = Effect.fnUntraced(function*(
  filename: string,
  { args, folder }: typeof Payload.Type
): Effect.fn.Return<Planned, Stop.Stop> {
  let planned: Planned | undefined
  const nothing = Stop.withCode(ExitCode.success)
  yield* Effect.catchIf(
    run(filename, args, {
      folder,
      services: Layer.merge(services, Layer.mock(JobStore, {})),
      find: () => Effect.succeedNone,
      start: ({ name }, _, settings) => {
        planned = { name, settings }
        return Effect.fail(nothing)
      },
      run: () => Effect.void
    }),
    (stop) => stop === nothing,
    () => Effect.void
  )
  return planned ?? (yield* Stop.usage("This command starts no job."))
})

/** The name of the job of a command among the children of the job of a tick. */
const childName = "command"

/** What the job of a tick fails with. */
const failureOf = (error: unknown): CommandFailed | Interrupted | JobStoreError => {
  if (error instanceof Interrupted || error instanceof JobStoreError) return error
  return new CommandFailed({ sentence: error instanceof Error ? error.message : String(error) })
}

/** Runs a command line as the job of a tick, with its own job as a child. A later run goes on with that child. */
export const asJob = Effect.fnUntraced(function*(filename: string, { args, folder }: typeof Payload.Type) {
  const store = yield* JobStore
  const { id } = yield* JobContext
  const context = yield* Effect.context<JobContext>()
  let child: ChildJobs.ChildJob<unknown, unknown> | undefined
  let failure: CommandFailed | Interrupted | JobStoreError | undefined
  const ended = Stop.withCode(ExitCode.failed)
  /** Ends the command where the job can't go on. */
  const orEnd = <A, R>(effect: Effect.Effect<A, unknown, R>) =>
    Effect.catch(effect, (error) => {
      failure = failureOf(error)
      return Effect.fail(ended)
    })
  const start: Host.Host["start"] = (job, payload) =>
    ChildJobs.start(childName, job, payload).pipe(
      Effect.map((started) => {
        child = started
        return started.id
      }),
      Effect.provideContext(context),
      orEnd
    )
  const find: Host.Host["find"] = <N extends string, P extends Task.Codec, S extends Task.Codec, E extends Task.Codec>(
    job: Host.Definition<N, P, S, E>
  ) =>
    Effect.gen(function*() {
      const found = Option.getOrUndefined(yield* orEnd(store.child(id, childName)))
      if (found === undefined || found.state._tag === "Cancelled") return Option.none()
      const payload = yield* orEnd(Schema.decodeUnknownEffect(Schema.toCodecJson(job.payload))(found.payload))
      return Option.some({ id: yield* start(job, payload, {}), payload })
    })
  yield* run(filename, args, {
    folder,
    services: Layer.merge(services, Layer.succeed(JobStore, store)),
    find,
    start,
    run: Effect.fnUntraced(function*(output) {
      if (child === undefined) return
      yield* orEnd(child.await)
      const record = yield* orEnd(store.get(child.id))
      yield* Effect.catchTag(output?.end(record) ?? Effect.void, "JobStoreError", (error) => orEnd(Effect.fail(error)))
    })
  }).pipe(
    Effect.catch(({ code, sentence }) =>
      Effect.fail(
        failure ??
          new CommandFailed({
            sentence: sentence === "" ? `the command ended with ${code}` : sentence.replace(/\.$/, "")
          })
      )
    )
  )
})
