/**
 * Encodes and decodes payloads, results and versions of jobs.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit_ from "effect/Exit"
import * as Option from "effect/Option"
import * as Pull from "effect/Pull"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Job from "../../Job.ts"
import type { Exit, JobRecord } from "../../JobRecord.ts"
import type * as Task from "../../Task.ts"
import { type Defect, defectOf, sentenceOfDefect } from "../defect.ts"
import { jsonCodec } from "../jsonCodec.ts"
import { lineOf, messageOf } from "../messageOf.ts"
import * as Numbers from "../numbers.ts"
import type { Renames } from "../store/fanOutNames.ts"

export const encode = (schema: Task.Codec, value: unknown): Effect.Effect<Schema.Json, Schema.SchemaError> =>
  Schema.encodeUnknownEffect(jsonCodec(schema))(value)

export const decode = (schema: Task.Codec, value: Schema.Json): Effect.Effect<unknown, Schema.SchemaError> =>
  Schema.decodeUnknownEffect(jsonCodec(schema))(value)

const decodeJson = Schema.decodeUnknownSync(Schema.Json)

/** The migrations from a stored version to the definition's version, or `undefined` if a migration is missing. */
export const migrationsFrom = (job: Job.Any, version: number): ReadonlyArray<Job.Migration> | undefined => {
  if (version > job.version) return undefined
  const migrations: Array<Job.Migration> = []
  for (let from = version; from < job.version; from++) {
    const migration = job.migrations[from]
    if (migration === undefined) return undefined
    migrations.push(migration)
  }
  return migrations
}

/** The new names that migrations give to fan-outs. */
export const renamesOf = (migrations: ReadonlyArray<Job.Migration>): ReadonlyArray<Renames> =>
  migrations
    .map(({ fanOuts = {} }) =>
      new Map(Object.entries(fanOuts).flatMap(([from, { name: to }]) => to === undefined ? [] : [[from, to]]))
    )
    .filter(({ size }) => size > 0)

/** Migrates a stored payload to the definition's version, or says why that is impossible. */
export const lift = (job: Job.Any, { payload, version }: JobRecord): Result.Result<Schema.Json, string> =>
  Result.try({
    try: () => {
      const migrations = migrationsFrom(job, version)
      if (migrations === undefined) throw new Error(`it is of version ${version}, and a migration is missing`)
      const lifted = migrations.reduce(
        (lifted, { payload }) => payload === undefined ? lifted : payload(lifted),
        payload
      )
      return decodeJson(lifted)
    },
    catch: (thrown) => `its payload can't be lifted to version ${job.version} of "${job.name}": ${lineOf(thrown)}`
  })

/**
 * Gives a payload of the definition's version, or says why it does not fit the definition, as far as that shows at
 * once. Stored payloads do not fit after a change of the definition without a new version.
 */
export const fitting = (job: Job.Any) => (payload: Schema.Json): Result.Result<Schema.Json, string> =>
  Option.match(Exit_.findErrorOption(Effect.runSyncExit(decode(job.payload, payload))), {
    onNone: () => Result.succeed(payload),
    onSome: (error) =>
      Result.fail(
        `its payload does not match version ${job.version} of "${job.name}": ${
          lineOf(error)
        }. If the payload's schema ` +
          "was changed, raise `version`, and say in `migrations` what becomes of stored payloads"
      )
  })

/** The end of a program without a stop. `error` is the program's typed error, for the retry schedule. */
export interface ProgramEnd {
  readonly exit: Exit
  readonly error: Option.Option<unknown>
}

const diedOf = (defect: Defect): ProgramEnd => ({ exit: { _tag: "Defect", ...defect }, error: Option.none() })

/** Makes the end of a program for a defect outside of the program. `what` describes the place of the defect. */
export const died = (cause: Cause.Cause<unknown>, what: string): ProgramEnd => {
  const defect = defectOf(cause)
  return diedOf({ ...defect, message: `${what}: ${sentenceOfDefect(defect)}` })
}

export const programEndOf = (job: Job.Any, exit: Exit_.Exit<unknown, unknown>): Effect.Effect<ProgramEnd> => {
  if (exit._tag === "Success") {
    return encode(job.success, exit.value).pipe(
      Effect.map((value): ProgramEnd => ({ exit: { _tag: "Success", value }, error: Option.none() })),
      Effect.catchTag(
        "SchemaError",
        ({ message }) => Effect.succeed(diedOf({ message: `its success does not match its schema: ${message}` }))
      )
    )
  }
  const error = Cause.findErrorOption(exit.cause)
  if (Option.isNone(error)) {
    return Effect.succeed(diedOf(
      Cause.hasInterruptsOnly(exit.cause) ? { message: "it interrupted itself" } : defectOf(exit.cause)
    ))
  }
  return encode(job.error, error.value).pipe(
    Effect.map((encoded): ProgramEnd => ({
      exit: { _tag: "Failure", error: encoded, message: messageOf(error.value) },
      error
    })),
    // An uncaught error, such as the timeout of an attempt, is not among the job's own errors.
    Effect.catchTag("SchemaError", () => Effect.succeed(diedOf(defectOf(exit.cause))))
  )
}

/**
 * Computes the milliseconds until a failed program runs again, or `None` at the end of the retry schedule. A defect of
 * the schedule is a defect of `backoff`.
 *
 * A store does not keep the state of a schedule, so `backoff` repeats all steps: from the time of the first failure
 * through the earlier delays to the time of this failure. Jobs of old stores have no time of the first failure, and
 * `backoff` adds up the delays instead.
 */
export const backoff = Effect.fnUntraced(function*(
  schedule: Schedule.Schedule<unknown>,
  error: unknown,
  { failedAt, tries }: { readonly failedAt?: number; readonly tries: number },
  now: number
) {
  const step = yield* Schedule.toStep(schedule)
  let at = failedAt ?? now
  for (let i = 0;; i++) {
    const isLast = i === tries
    const time = isLast && failedAt !== undefined ? now : at
    const next = yield* Effect.exit(Effect.suspend(() => step(time, error)))
    if (next._tag === "Failure") {
      if (Pull.isDoneCause(next.cause)) return Option.none<number>()
      return yield* Effect.failCause(next.cause).pipe(Effect.catch((never) => Effect.die(never)))
    }
    const [, given] = next.value
    const delay = yield* Effect.sync(() => Numbers.finiteMillis("its delay", given))
    if (isLast) return Option.some(delay)
    at = failedAt === undefined ? at + delay : Math.min(at + delay, now)
  }
})
