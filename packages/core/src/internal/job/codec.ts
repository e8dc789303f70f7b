/**
 * Between a job's values and what is stored of them.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit_ from "effect/Exit"
import * as Option from "effect/Option"
import * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Job from "../../Job.ts"
import type { Exit, JobRecord } from "../../JobRecord.ts"
import type * as Task from "../../Task.ts"
import { type Defect, defectOf, sentenceOfDefect } from "../defect.ts"
import { messageOf } from "../messageOf.ts"
import type { Renames } from "../store/fanOutNames.ts"

/** Encodes what is to be stored. A schema that lets anything through may give what is no JSON. */
export const encode = (schema: Task.Codec, value: unknown): Effect.Effect<Schema.Json, Schema.SchemaError> =>
  Effect.flatMap(
    Schema.encodeUnknownEffect(Schema.toCodecJson(schema))(value),
    Schema.decodeUnknownEffect(Schema.Json)
  )

export const decode = (schema: Task.Codec, value: Schema.Json): Effect.Effect<unknown, Schema.SchemaError> =>
  Schema.decodeUnknownEffect(Schema.toCodecJson(schema))(value)

/** Migrations from a stored version to that of the definition; `undefined` where there is no way. */
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

/** Names that migrations give to fan-outs. */
export const renamesOf = (migrations: ReadonlyArray<Job.Migration>): ReadonlyArray<Renames> =>
  migrations
    .map(({ fanOuts = {} }) =>
      new Map(Object.entries(fanOuts).flatMap(([from, { name: to }]) => to === undefined ? [] : [[from, to]]))
    )
    .filter(({ size }) => size > 0)

/** Lifts a stored payload to the version of the definition; `undefined` where that can't be done. */
export const lift = (job: Job.Any, { payload, version }: JobRecord): Schema.Json | undefined => {
  try {
    return migrationsFrom(job, version)?.reduce(
      (lifted, migration) => migration.payload === undefined ? lifted : migration.payload(lifted),
      payload
    )
  } catch {
    // What a migration throws on is not what it was written for: it is left as it is.
    return undefined
  }
}

/** How a program ended that nothing had stopped. `error` is its own, which its retry goes by. */
export interface ProgramEnd {
  readonly exit: Exit
  readonly error: Option.Option<unknown>
}

const diedOf = (defect: Defect): ProgramEnd => ({ exit: { _tag: "Defect", ...defect }, error: Option.none() })

/** The end of a program with which something else has died. */
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
    // What no task has caught, such as an attempt's timeout, is not among the job's own errors.
    Effect.catchTag("SchemaError", () => Effect.succeed(diedOf(defectOf(exit.cause))))
  )
}

/**
 * Milliseconds until a program that failed is run again, or nothing when its schedule is over. Dies as that does.
 *
 * The schedule's own state is not stored: it is stepped anew, from the first failure through the delays that it has
 * had, and then at the time of this one. Jobs of older stores don't know when they first failed: they go by the delays.
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
    const delay = Duration.toMillis(next.value[1])
    if (!Number.isFinite(delay)) return yield* Effect.die(new Error("it waits for ever"))
    if (isLast) return Option.some(delay)
    at = failedAt === undefined ? at + delay : Math.min(at + delay, now)
  }
})
