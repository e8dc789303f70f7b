/**
 * Lets the program of a job store what its code between fan-outs has done. The program runs again from its first line
 * whenever the job goes on. A fan-out keeps a checkpoint of its own.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { JobRun, StoredJob } from "./internal/fanOut/jobRun.ts"
import { jsonCodec } from "./internal/jsonCodec.ts"
import type { JobContext } from "./JobContext.ts"
import type { JobStoreError } from "./JobStoreError.ts"

/**
 * Error of a stored checkpoint that the job's code can't read: a newer version of the job stored it, or it does not fit
 * the schema after the migrations. The stored checkpoint stays unchanged.
 *
 * @category errors
 */
export class CheckpointUnreadable
  extends Schema.TaggedError<CheckpointUnreadable>("@fanout/core/Checkpoint/CheckpointUnreadable")(
    "CheckpointUnreadable",
    { checkpoint: Schema.String, version: Schema.Natural, why: Schema.String }
  )
{
  override get message(): string {
    return `Checkpoint "${this.checkpoint}", stored by version ${this.version} of its job, can't be read: ${this.why}`
  }
}

/**
 * Checkpoint of a job's program.
 *
 * @category models
 */
export interface Checkpoint<in out A> {
  /** The value saved last, lifted to the job's version; `None` before the first `save`. */
  readonly get: Effect.Effect<Option.Option<A>, CheckpointUnreadable | JobStoreError, JobContext>

  /** Stores the value. The value is in the store when `save` returns. */
  readonly save: (value: A) => Effect.Effect<void, JobStoreError, JobContext>
}

const Envelope = Schema.fromJsonString(Schema.Struct({ v: Schema.Natural, value: Schema.Json }))

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- whoever has a `JobContext` has the run
const currentRun = JobRun as unknown as Effect.Effect<JobRun["Service"], never, JobContext>

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- and what it reads
const currentJob = StoredJob as unknown as Effect.Effect<StoredJob["Service"], never, JobContext>

/**
 * Defines a checkpoint by its name, unique in the job, and its schema. The job's `migrations` lift older values.
 *
 * @category constructors
 */
export const make = <A>(name: string, schema: Schema.Codec<A, unknown>): Checkpoint<A> => {
  const codec = jsonCodec(schema)
  const encode = Schema.encodeEffect(codec)
  return {
    get: Effect.gen(function*() {
      const { id, migrations, store, version } = yield* currentJob
      const stored = yield* store.ownCheckpoint(id, name)
      if (Option.isNone(stored)) return Option.none()
      const envelope = yield* Effect.orDie(Schema.decodeUnknownEffect(Envelope)(stored.value))
      const unreadable = (why: string) => new CheckpointUnreadable({ checkpoint: name, version: envelope.v, why })
      // An owner that has lost the job may not know it yet, and the next owner may be a newer version.
      if (envelope.v > version) return yield* unreadable(`this is version ${version}`)
      let value = envelope.value
      for (let v = envelope.v; v < version; v++) {
        const lift = migrations[v]?.checkpoints?.[name]
        if (lift !== undefined) value = lift(value)
      }
      return Option.some(
        yield* Effect.mapError(Schema.decodeUnknownEffect(codec)(value), ({ message }) => unreadable(message))
      )
    }),
    save: (value) =>
      Effect.gen(function*() {
        const { id, store, token, version } = yield* currentRun
        const encoded = yield* Effect.catch(
          encode(value),
          ({ message }) => Effect.die(new Error(`Checkpoint "${name}" can't be saved: ${message}`))
        )
        const checkpoint = yield* Effect.orDie(Schema.encodeEffect(Envelope)({ v: version, value: encoded }))
        yield* store.saveOwnCheckpoint(id, { token, name, checkpoint })
      })
  }
}
