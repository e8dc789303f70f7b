/**
 * Lets a long task go on where its last attempt ended.
 *
 * A task saves how far it has come. Its next attempt, after a pause, a crash or a failure, reads the checkpoint. The
 * store keeps the checkpoint with the unsettled task, and with the row of a failed task for a retry of the job. The
 * checkpoint is deleted once the task is done or skipped.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { jsonCodec } from "./internal/jsonCodec.ts"

/**
 * Checkpoint of one kind of task.
 *
 * @category models
 */
export interface TaskCheckpoint<in out A> {
  /** The value saved last; `None` if there is none, or if it no longer fits the schema. */
  readonly get: Effect.Effect<Option.Option<A>>

  /**
   * Saves how far the task has come, together with all amounts that the task has added to units by now. The value is in
   * the store after the next flush.
   */
  readonly save: (value: A) => Effect.Effect<void>

  /**
   * Saves how far the task has come, and waits until the value is in the store: for a decision that must not be made
   * twice. If the value can't be stored, the task is stopped and interrupted at once. Outside of a fan-out there is no
   * store, and `commit` returns at once.
   */
  readonly commit: (value: A) => Effect.Effect<void>

  /**
   * Commits the value with which the task begins anew, such as the id of a new upload where the old one is gone. All
   * amounts that the task has added to units, in this attempt and before it, are taken back.
   */
  readonly startOver: (value: A) => Effect.Effect<void>

  /** Encodes a value for the `checkpoint` of a fan-out's `Item`, whose task then goes on from that value. */
  readonly encode: (value: A) => Schema.Json
}

/**
 * Place where the task that runs now keeps its encoded checkpoint.
 *
 * @category models
 */
export interface Cell {
  /** The checkpoint saved last; `undefined` if there is none. */
  readonly checkpoint: Schema.Json | undefined

  /**
   * Saves a checkpoint together with the amounts that the task has added to its units. A checkpoint that `startsOver`
   * takes these amounts back before.
   */
  readonly saveUnsafe: (checkpoint: Schema.Json, startsOver?: boolean) => void

  /** Waits until the saved checkpoint is in the store. */
  readonly recorded: Effect.Effect<void>
}

/**
 * Reference to the cell of the task that runs now. The runtime sets the reference for each task.
 *
 * @category services
 */
export const Cell: Context.Reference<Cell> = Context.Reference<Cell>("@fanout/core/TaskCheckpoint/Cell", {
  defaultValue: () => ({ checkpoint: undefined, saveUnsafe: () => {}, recorded: Effect.void })
})

/**
 * Defines the checkpoint of a kind of task by its schema.
 *
 * @category constructors
 */
export const make = <A>(schema: Schema.Codec<A, unknown>): TaskCheckpoint<A> => {
  const codec = jsonCodec(schema)
  const encode = Schema.encodeSync(codec)
  const decode = Schema.decodeUnknownOption(codec)
  const save = (value: A, startsOver = false) =>
    Effect.withFiber((fiber) => {
      const cell = Context.get(fiber.context, Cell)
      cell.saveUnsafe(encode(value), startsOver)
      return Effect.succeed(cell)
    })
  return {
    get: Effect.withFiber((fiber) => {
      const { checkpoint } = Context.get(fiber.context, Cell)
      return Effect.succeed(checkpoint === undefined ? Option.none<A>() : decode(checkpoint))
    }),
    save: (value) => Effect.asVoid(save(value)),
    commit: (value) => Effect.flatMap(save(value), ({ recorded }) => recorded),
    startOver: (value) => Effect.flatMap(save(value, true), ({ recorded }) => recorded),
    encode
  }
}
