/**
 * Makes a task of a function of the program, for the items that the program has in memory.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { ForEachOptions } from "../../FanOut.ts"
import * as Task from "../../Task.ts"
import { OwnHandler } from "./taskOptions.ts"

/** The function of a durable `forEach`. */
export type ItemHandler = (item: unknown, index: number) => Effect.Effect<unknown, unknown>

/** Makes the task of the fan-out `name`. The payload of the task is the cursor of an item. */
export const makeItemTask = (
  name: string,
  items: ReadonlyArray<unknown>,
  cursors: ReadonlyArray<string>,
  f: ItemHandler,
  options: ForEachOptions<unknown, Task.Codec, Task.Codec>
): Task.Any => {
  const { error = Schema.Never, keyOf, pool, rate, retry, success, timeout, weight } = options
  const indices = new Map(cursors.map((cursor, index) => [cursor, index]))
  const indexOf = (cursor: unknown): number => indices.get(String(cursor)) ?? -1
  return Task.make(`forEach "${name}"`, {
    payload: Schema.String,
    success,
    error,
    key: (cursor) => keyOf === undefined ? `item ${indexOf(cursor)}` : keyOf(items[indexOf(cursor)]),
    ...pool === undefined ? {} : { pool },
    ...rate === undefined ? {} : { rate },
    ...retry === undefined ? {} : { retry },
    ...timeout === undefined ? {} : { timeout },
    ...weight === undefined ? {} : { weight }
  }).annotate(OwnHandler, (cursor) => {
    const index = indexOf(cursor)
    return index >= 0 ? f(items[index], index) : Effect.die(
      new Error(`Fan-out "${name}" has no item ${String(cursor)} any more: give the same items in each run of the job`)
    )
  })
}
