/**
 * Reads the checkpoints of the unfinished tasks of a job that does not run any more.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Saved, SavedTask } from "../../Job.ts"
import type * as Task from "../../Task.ts"
import { Cell, type TaskCheckpoint } from "../../TaskCheckpoint.ts"
import { outcomesOf } from "../store/pages.ts"
import { codecsOf } from "../task/taskCodecs.ts"
import type { JobRunOptions } from "./jobRun.ts"
import { decodeOrigin } from "./origin.ts"
import { keptIn, lifting } from "./storedLedger.ts"

/** An unfinished task, still encoded. */
interface Stored {
  readonly cursor: string
  readonly payload: Schema.Json
  readonly checkpoint: Schema.Json
}

/** Makes the function that reads the checkpoints of a job's unfinished tasks. */
export const savedTasksOf = (
  { id, migrations, store, version }: Pick<JobRunOptions, "id" | "migrations" | "store" | "version">
): Saved["tasks"] =>
(fanOut, task, checkpoint) => {
  const lift = lifting(migrations, version, fanOut)
  const unsettled = Effect.map(store.checkpoint(id, fanOut), (text) =>
    Option.match(text, {
      onNone: () => ({ unsettled: [], retried: new Map<string, Schema.Json>() }),
      onSome: (text) => keptIn(text, lift)
    }))
  return Stream.unwrap(Effect.map(unsettled, ({ retried, unsettled }) => {
    const rows = outcomesOf(store, id, { fanOut, tags: ["Failed"] })
    const failed = Stream.map(rows, ({ cursor: stored, origin, payload }) => {
      const { isRetriable, s, v } = decodeOrigin(origin)
      const lifted = lift(v)
      const cursor = lifted.cursor(stored)
      // What a retry of a failed task has saved is newer than the row.
      const checkpoint = retried.get(cursor) ?? s
      return !isRetriable || checkpoint === undefined
        ? []
        : [{ cursor, payload: lifted.payload(payload), checkpoint }]
    })
    return Stream.concat(Stream.fromIterable(unsettled), Stream.flattenIterable(failed)).pipe(
      Stream.mapEffect((stored) => read(task, checkpoint, stored)),
      Stream.flattenIterable
    )
  }))
}

/** Decodes a task. A checkpoint that no longer fits its schema is left out, as a task that goes on finds none. */
const read = <T extends Task.Any, A>(task: T, checkpoint: TaskCheckpoint<A>, stored: Stored) =>
  Effect.gen(function*() {
    const saved = yield* Effect.provideService(checkpoint.get, Cell, {
      ...Cell.defaultValue(),
      checkpoint: stored.checkpoint
    })
    const { cursor } = stored
    if (Option.isNone(saved)) {
      yield* Effect.logWarning(`The checkpoint of element "${cursor}" no longer fits its schema, and is left out`)
    }
    return Option.toArray(saved).map((value): SavedTask<T, A> => ({
      cursor,
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the codec is that of the task
      payload: codecsOf(task).payload.decode(stored.payload) as Task.Payload<T>,
      checkpoint: value
    }))
  })
