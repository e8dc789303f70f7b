/**
 * Lets a long task go on from where it was.
 *
 * A task saves how far it has come; its next attempt, after a pause, a crash or a failure, reads it. It is kept with
 * the task's unsettled entry, and with the row of one that has failed, for when the job is retried. It is gone once the
 * task is done or skipped.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

/**
 * Checkpoint of one kind of task.
 *
 * @category models
 * @since 0.1.0
 */
export interface TaskCheckpoint<in out A> {
  /** What the task saved last; `None` where it has not, or where what it saved does not fit the schema any more. */
  readonly get: Effect.Effect<Option.Option<A>>

  /** Keeps how far the task has come. It is in the store after the next flush. */
  readonly save: (value: A) => Effect.Effect<void>

  /**
   * Keeps how far the task has come, and goes on once that is in the store: for a decision that must not be made
   * twice. Where it can't be stored the task is stopped, and interrupted at once. Outside of a fan-out there is no
   * store, and it goes on at once.
   */
  readonly commit: (value: A) => Effect.Effect<void>

  /** The value as it is kept, for an element of a fan-out whose task is to go on from there. */
  readonly encode: (value: A) => Schema.Json
}

/**
 * Where the task that runs now keeps its checkpoint, encoded.
 *
 * @category models
 * @since 0.1.0
 */
export interface Cell {
  /** What was saved last, encoded; `undefined` where nothing was. */
  readonly checkpoint: Schema.Json | undefined

  /** Keeps a checkpoint, encoded, together with what the task has added to its units. */
  readonly saveUnsafe: (checkpoint: Schema.Json) => void

  /** Waits until what was saved is in the store. */
  readonly recorded: Effect.Effect<void>
}

/**
 * Reference to where the task that runs now keeps its checkpoint. The runtime sets it for each task.
 *
 * @category services
 * @since 0.1.0
 */
export const Cell: Context.Reference<Cell> = Context.Reference<Cell>("@fanout/core/TaskCheckpoint/Cell", {
  defaultValue: () => ({ checkpoint: undefined, saveUnsafe: () => {}, recorded: Effect.void })
})

/**
 * Defines the checkpoint of a kind of task by its schema.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <A>(schema: Schema.Codec<A, unknown>): TaskCheckpoint<A> => {
  const codec = Schema.toCodecJson(schema)
  const encode = Schema.encodeSync(codec)
  const decode = Schema.decodeUnknownOption(codec)
  const save = (value: A) =>
    Effect.withFiber((fiber) => {
      const cell = Context.get(fiber.context, Cell)
      cell.saveUnsafe(encode(value))
      return Effect.succeed(cell)
    })
  return {
    get: Effect.withFiber((fiber) => {
      const { checkpoint } = Context.get(fiber.context, Cell)
      return Effect.succeed(checkpoint === undefined ? Option.none<A>() : decode(checkpoint))
    }),
    save: (value) => Effect.asVoid(save(value)),
    commit: (value) => Effect.flatMap(save(value), ({ recorded }) => recorded),
    encode
  }
}
