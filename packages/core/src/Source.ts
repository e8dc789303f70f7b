/**
 * Makes sources of durable fan-outs: ordered streams of elements that can be opened again behind each of their cursors.
 *
 * Because a source is ordered, the checkpoint of a fan-out is one cursor and the few elements that were taken and are
 * not settled. Any function from a cursor to a stream of elements is a source; the constructors make sources that are
 * correct.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { changed, IndexCursors } from "./internal/fanOut/indexCursors.ts"
import { messageOf } from "./internal/messageOf.ts"
import * as Numbers from "./internal/numbers.ts"
import type { Outcome } from "./Outcome.ts"

/**
 * One element of a source. Each cursor occurs once in the source. A source that gives a cursor twice ends the fan-out
 * with a defect where the fan-out notices it: if the cursor repeats the one right before it, or, in a run that goes on,
 * if the cursor is the one that the source was reopened after, the first of all, or the cursor of an unsettled element.
 * An element whose payload does not fit the schema of the task fails alone, and is not retried.
 *
 * **Details**
 *
 * - `Item`: one payload for the task. With `opens`, the item begins a bracket. The elements up to the matching `After`
 *   wait until the item is settled. If the item is not done, these elements are skipped, as one row with their number.
 *   Elements behind the `After` do not wait. `count` is the number of elements that the item stands for (`Parts`); as
 *   many are skipped with its bracket. The task goes on from `checkpoint`, which a `TaskCheckpoint` has encoded.
 * - `After`: ends the innermost open bracket. Its payload runs once everything in the bracket is settled.
 * - `Settled`: an outcome that the source itself knows, such as a folder that can't be read. With `retry`, a retry runs
 *   the payload of `retry`. Then the retry runs the elements that the source gives behind the cursor `bracketAfter`, up
 *   to the first `After` whose bracket began before them.
 *
 * Brackets are balanced. A source that is reopened inside of a bracket still gives the `After` of the bracket.
 *
 * @category models
 */
export type Element<Payload> =
  | {
    readonly _tag: "Item"
    readonly cursor: string
    readonly payload: Payload
    readonly opens?: boolean
    readonly count?: number
    readonly checkpoint?: Schema.Json
  }
  | { readonly _tag: "After"; readonly cursor: string; readonly payload: Payload }
  | {
    readonly _tag: "Settled"
    readonly cursor: string
    readonly key: string
    readonly outcome: Outcome
    readonly retry?: { readonly payload: Payload; readonly bracketAfter?: string }
  }

/**
 * A source of elements with payloads `P`. The function receives the cursor of the last element that was taken, or
 * `None`, and gives the elements behind it.
 *
 * **Gotchas**
 *
 * The source has to give the same elements, in the same order and with the same cursors, whenever it is opened.
 *
 * @category models
 */
export interface Source<out P, out E = never, out R = never> {
  (after: Option.Option<string>): Stream.Stream<Element<P>, E, R>
}

/**
 * Makes an element: one payload for the task, behind the cursor of the element.
 *
 * @category constructors
 */
export const item = <P>(
  cursor: string,
  payload: P,
  options?: { readonly opens?: boolean; readonly count?: number; readonly checkpoint?: Schema.Json }
): Extract<Element<P>, { readonly _tag: "Item" }> => ({ _tag: "Item", cursor, payload, ...options })

/**
 * Makes an element that ends the innermost open bracket. Its payload runs after all elements of the bracket.
 *
 * @category constructors
 */
export const closes = <P>(cursor: string, payload: P): Extract<Element<P>, { readonly _tag: "After" }> => ({
  _tag: "After",
  cursor,
  payload
})

/**
 * Makes an element whose outcome the source itself knows. `retry` is the payload that a retry runs instead.
 *
 * @category constructors
 */
export const settled = <P = never>(
  cursor: string,
  options: {
    readonly key: string
    readonly outcome: Outcome
    readonly retry?: { readonly payload: P; readonly bracketAfter?: string }
  }
): Extract<Element<P>, { readonly _tag: "Settled" }> => ({ _tag: "Settled", cursor, ...options })

/**
 * Makes a source of an array, or of another iterable that begins anew each time: one element for each item.
 *
 * **Details**
 *
 * A function that makes the iterable is called whenever the source is opened. The cursor of an item is its index and a
 * hash of all items up to it, as JSON. A run that goes on reads the items again, and a fan-out whose items are others
 * by then ends with a defect: items that have run would be taken for others.
 *
 * **Gotchas**
 *
 * The items have to be the same in each run of the job: those of its payload, for instance. For rows that change, use
 * `paged`. For items without JSON, `keyOf` gives the text that is hashed.
 *
 * @category constructors
 */
export const fromIterable = <P, I extends Iterable<P>>(
  items: (I & Iterable<P> & NotOnce<I>) | (() => Iterable<P>),
  keyOf?: (item: P) => string
): Source<P> =>
(after) =>
  Stream.suspend(() => {
    const given: Iterable<P> = typeof items === "function" ? items() : items
    const iterator: unknown = given[Symbol.iterator]()
    if (typeof items !== "function" && iterator === given) {
      throw new Error(
        "A source reads its items again when its job goes on, and an iterator can be read only once: " +
          "give an array, or a function that makes the iterator"
      )
    }
    return Stream.fromIterable(elementsBehind(given, Option.getOrUndefined(after), keyOf), { chunkSize })
  })

/** The iterables that `fromIterable` takes. An iterator is refused with a sentence. */
type NotOnce<I> = I extends { readonly next: unknown }
  ? "an iterator can be read only once: give an array, or a function that makes the iterator"
  : unknown

/** Elements that a source of its own gives at once. */
const chunkSize = 512

const elementsBehind = <P>(items: Iterable<P>, last: string | undefined, keyOf?: (item: P) => string) => ({
  *[Symbol.iterator]() {
    const cursors = new IndexCursors(keyOf)
    let isBehind = last === undefined
    for (const payload of items) {
      const cursor = cursors.next(payload)
      if (isBehind) yield item(cursor, payload)
      else isBehind = cursors.isLast(cursor, last)
    }
    if (!isBehind) throw changed(last)
  }
})

/**
 * Makes a source of the whole numbers from `first` to `last`, both included. The cursor is the number.
 *
 * @category constructors
 */
export const range = (first: number, last: number): Source<number> => (after) =>
  Stream.suspend(() => {
    for (const bound of [first, last]) Numbers.whole("A bound of a range", bound)
    const from = Option.match(after, { onNone: () => first, onSome: (cursor) => read(Schema.Int, cursor) + 1 })
    return Stream.map(Stream.range(from, last, chunkSize), (n) => item(String(n), n))
  })

/**
 * Makes a source of ranges of whole numbers: `size` numbers each, from `first` to `last`, both included. The last range
 * may be shorter.
 *
 * **When to use**
 *
 * Use to cut a table by its numeric key, into partitions for `ChildJobs.partitioned` or into tasks of `size` rows.
 *
 * @category constructors
 */
export const ranges = (
  first: number,
  last: number,
  size: number
): Source<{ readonly first: number; readonly last: number }> =>
  fromStream(
    Schema.Tuple([Schema.Int, Schema.Int]),
    (after) => {
      for (const bound of [first, last]) Numbers.whole("A bound of ranges", bound)
      Numbers.count("The size of ranges", size)
      const from = Option.match(after, { onNone: () => first, onSome: ([, end]) => end + 1 })
      return Stream.map(Stream.range(1, Math.ceil((last - from + 1) / size), chunkSize), (n) => ({
        first: from + (n - 1) * size,
        last: Math.min(last, from + n * size - 1)
      }))
    },
    (range) => [range.first, range.last]
  )

/**
 * Makes a source of ranges of text: those before the first key, between each key and the next one, and from the last
 * key on. A range has the keys from `from`, included, to `before`, left out; the first one has no `from`, and the last
 * one no `before`.
 *
 * **When to use**
 *
 * Use to cut a table, or a listing of an object store, into partitions for `ChildJobs.partitioned`.
 *
 * @category constructors
 */
export const between = (
  keys: ReadonlyArray<string>
): Source<{ readonly from?: string; readonly before?: string }> =>
  fromStream(
    Schema.Tuple([Schema.NullOr(Schema.String), Schema.NullOr(Schema.String)]),
    (after) => {
      if (new Set(keys).size < keys.length) throw new Error("Ranges of keys were given a key twice")
      const last = Option.getOrUndefined(after)
      const index = last === undefined ? 0 : keys.findIndex((key) => key === last[1]) + 1
      if (last !== undefined && index === 0) return Stream.empty
      return Stream.fromIterable(Array.from({ length: keys.length + 1 - index }, (_, n) => {
        const [from, before] = [keys[index + n - 1], keys[index + n]]
        return { ...from === undefined ? {} : { from }, ...before === undefined ? {} : { before } }
      }))
    },
    ({ before, from }) => [from ?? null, before ?? null]
  )

/**
 * Makes a source of a table, or of an API, that is read page by page behind a key.
 *
 * **Details**
 *
 * - `cursor` is the schema of the key, such as `Schema.Int`, or `Schema.Tuple` for a key of several columns.
 * - `page` gives at most `limit` rows behind the key `after`, in the order of their keys. `limit` is `size`, by default
 *   500. The source ends with the first page that has no rows.
 * - `cursorOf` gives the key of a row. Each key occurs once.
 *
 * A page that gives a key of the page before it again is a defect: it has ignored `after`.
 *
 * @category constructors
 */
export const paged = <const C, Row, E, R>(
  cursor: Schema.Codec<C, unknown>,
  page: (after: Option.Option<C>, limit: number) => Effect.Effect<ReadonlyArray<Row>, E, R>,
  cursorOf: (row: Row) => NoInfer<C>,
  { size = 500 }: { readonly size?: number } = {}
): Source<Row, E, R> => {
  const write = writer(cursor)
  return (after) =>
    Stream.suspend(() => {
      Numbers.count("The size of a page", size)
      const start = { after: Option.map(after, (stored) => read(cursor, stored)), seen: new Set(Option.toArray(after)) }
      return Stream.paginate(start, ({ after, seen }) =>
        Effect.map(page(after, size), (rows) => {
          const elements = rows.map((row) => item(write(cursorOf(row)), row))
          const here = new Set<string>()
          const again = elements.find(({ cursor }) => seen.has(cursor) || here.size === here.add(cursor).size)
          if (again !== undefined) {
            const key = Option.match(after, { onNone: () => "nothing", onSome: write })
            throw new Error(
              `The page behind the key ${key} has the key ${again.cursor} again: give only rows behind \`after\``
            )
          }
          const next = {
            after: Option.map(Option.fromUndefinedOr(rows.at(-1)), cursorOf),
            seen: here
          }
          return [elements, rows.length === 0 ? Option.none() : Option.some(next)]
        }))
    })
}

/**
 * Makes a source of an API that is read page by page, where each page tells how to ask for the next one.
 *
 * **Details**
 *
 * `page` gets a state, at first `initial`, and gives the items of the page and the state of the next page, or
 * `undefined` after the last page. A run that goes on asks again for the page that it was in, so each state has to give
 * the same items again. `state` is the schema of the state.
 *
 * @category constructors
 */
export const paginate = <S, P, E, R>(
  state: Schema.Codec<S, unknown>,
  initial: NoInfer<S>,
  page: (state: S) => Effect.Effect<readonly [items: ReadonlyArray<P>, next: S | undefined], E, R>
): Source<P, E, R> => {
  const Place = Schema.Tuple([state, Schema.Natural])
  const write = writer(Place)
  return (after) =>
    Stream.suspend(() => {
      const [at, index] = Option.match(after, {
        onNone: () => [initial, -1] as const,
        onSome: (stored) => read(Place, stored)
      })
      return Stream.paginate({ state: at, first: index + 1 }, ({ first, state }) =>
        Effect.map(page(state), ([items, next]) => {
          if (next !== undefined && write([next, 0]) === write([state, 0])) {
            throw new Error(`The page of ${write([state, 0])} gives itself as the next page`)
          }
          return [
            items.slice(first).map((payload, n) =>
              item(write([state, first + n]), payload)
            ),
            Option.map(Option.fromUndefinedOr(next), (state) => ({ state, first: 0 }))
          ]
        }))
    })
}

/**
 * Makes a source of a stream. `stream` gives the values behind the key `after`, in the order of their keys. `cursor` is
 * the schema of the key, and `cursorOf` gives the key of a value. Each key occurs once.
 *
 * @category constructors
 */
export const fromStream = <const C, P, E, R>(
  cursor: Schema.Codec<C, unknown>,
  stream: (after: Option.Option<C>) => Stream.Stream<P, E, R>,
  cursorOf: (value: P) => NoInfer<C>
): Source<P, E, R> => {
  const write = writer(cursor)
  return (after) =>
    Stream.map(
      Stream.suspend(() => stream(Option.map(after, (stored) => read(cursor, stored)))),
      (value) => item(write(cursorOf(value)), value)
    )
}

/**
 * Changes the payloads of a source. Each element keeps its cursor.
 *
 * @category mapping
 */
export const map = <A, E, R, B>(source: Source<A, E, R>, f: (payload: A) => B): Source<B, E, R> => (after) =>
  Stream.map(source(after), (element) => mapElement(element, f))

const mapElement = <A, B>(element: Element<A>, f: (payload: A) => B): Element<B> => {
  if (element._tag !== "Settled") return { ...element, payload: f(element.payload) }
  const { retry, ...settled } = element
  return retry === undefined ? settled : { ...settled, retry: { ...retry, payload: f(retry.payload) } }
}

const json = <C>(cursor: Schema.Codec<C, unknown>) => Schema.fromJsonString(Schema.toCodecJson(cursor))

const writer = <C>(cursor: Schema.Codec<C, unknown>): (cursor: C) => string => Schema.encodeSync(json(cursor))

const read = <C>(cursor: Schema.Codec<C, unknown>, stored: string): C => {
  try {
    return Schema.decodeSync(json(cursor))(stored)
  } catch (thrown) {
    throw new Error(
      `The fan-out had another source before: its cursor ${stored} does not fit this one: ${messageOf(thrown)}`,
      { cause: thrown }
    )
  }
}
