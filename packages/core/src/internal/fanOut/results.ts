/**
 * Fan-outs that return the values of their elements, and the stored results of a fan-out.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { AllOptions, ForEachOptions, Result } from "../../FanOut.ts"
import type { JobStoreError } from "../../JobStoreError.ts"
import { decode } from "../../Outcome.ts"
import type { Tally } from "../../Progress.ts"
import { type Element, item } from "../../Source.ts"
import type { Any, Codec } from "../../Task.ts"
import { outcomesOf } from "../store/pages.ts"
import { type ItemHandler, makeItemTask } from "../task/itemTask.ts"
import { codecsOf } from "../task/taskCodecs.ts"
import type { FanOut } from "./engine.ts"
import { cursorsOf, sourceOf } from "./indexCursors.ts"
import { runOf } from "./jobRun.ts"

/** Runs a fan-out of the job whose program runs now. */
export type OpenFanOut = (
  given: Pick<FanOut, "name" | "source" | "options" | "leavesFailures"> & { readonly task: Any }
) => Effect.Effect<Tally, unknown>

export type ItemOptions = ForEachOptions<unknown, Codec, Codec>

/** Runs a task for all payloads, and gives the values in the order of the payloads. */
export const runAll = (
  open: OpenFanOut,
  name: string,
  task: Any,
  payloads: Iterable<unknown>,
  options?: AllOptions
): Effect.Effect<ReadonlyArray<unknown>, unknown> =>
  Effect.suspend(() => {
    const all = Array.from(payloads)
    const { encode } = codecsOf(task).payload
    // A payload that does not fit its schema fails when its task is to run.
    const textOf = (payload: unknown) => jsonOf(encode, payload) ?? ""
    const cursors = cursorsOf(all, textOf)
    return values(open, name, task, cursors.map((cursor, index) => item(cursor, all[index])), options)
  })

/** Runs a function for all items, and gives the values in the order of the items. */
export const forEach = (
  open: OpenFanOut,
  name: string,
  items: Iterable<unknown>,
  f: ItemHandler,
  options: ItemOptions
): Effect.Effect<ReadonlyArray<unknown>, unknown> =>
  Effect.suspend(() => {
    const all = Array.from(items)
    const cursors = cursorsOf(all, options.keyOf)
    const task = makeItemTask(name, all, cursors, f, options)
    return values(open, name, task, cursors.map((cursor) => item(cursor, cursor)), options)
  })

/** The JSON of an encoded payload, if the payload can be encoded. */
const jsonOf = (encode: (payload: unknown) => unknown, payload: unknown): string | undefined => {
  try {
    return JSON.stringify(encode(payload))
  } catch {
    return undefined
  }
}

/** Shorter than that of `fanOut`: values are often those of calls that nobody wants to repeat, and few at a time. */
const flushInterval = "50 millis"

const values = Effect.fnUntraced(function*(
  open: OpenFanOut,
  name: string,
  task: Any,
  elements: ReadonlyArray<Element<unknown>>,
  options: AllOptions = {}
) {
  const source = sourceOf(elements)
  yield* open({ name, task, source, options: { flushInterval, ...options, keep: "all" }, leavesFailures: true })
  const found = new Map<string, unknown>()
  yield* Stream.runForEach(results(name, task), ({ cursor, outcome }) =>
    Effect.sync(() => {
      if (outcome._tag === "Done") found.set(cursor, outcome.value)
    }))
  if (found.size === elements.length && elements.every(({ cursor }) => found.has(cursor))) {
    const { ended } = yield* runOf(name)
    ended.add(name)
    return elements.map(({ cursor }) => found.get(cursor))
  }
  return yield* Effect.die(
    new Error(
      `Fan-out "${name}" has run for ${found.size} items, and is given ${elements.length}, or others: give the same ` +
        "items in each run of the job, such as those of its payload"
    )
  )
})

/** Gives the stored results of a fan-out of the job whose program runs now, in the order of their recording. */
export const results = (fanOut: string, task: Any): Stream.Stream<Result<Any>, JobStoreError> =>
  Stream.unwrap(Effect.map(runOf(fanOut), ({ id, store }) => outcomesOf(store, id, { fanOut }))).pipe(
    Stream.mapEffect(({ cursor, key, outcome }) =>
      Effect.map(Effect.orDie(decode(task, outcome)), (outcome): Result<Any> => ({ cursor, key, outcome }))
    )
  )
