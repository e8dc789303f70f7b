import { assert, describe, it } from "@effect/vitest"
import * as Source from "@fanout/core/Source"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"

interface Row {
  readonly at: string
  readonly id: number
}

/** Rows in the order of their keys, some of which have the same first column. */
const rowsOf = (count: number): ReadonlyArray<Row> =>
  Array.from({ length: count }, (_, id) => ({ at: `day "${Math.floor(id / 3)}"`, id }))

const isBehind = (row: Row, [at, id]: readonly [string, number]) => row.at > at || (row.at === at && row.id > id)

const Key = Schema.Tuple([Schema.String, Schema.Int])

const keyOf = ({ at, id }: Row) => [at, id] as const

const sources = (count: number): Record<string, Source.Source<unknown>> => {
  const rows = rowsOf(count).toSorted((a, b) => isBehind(a, [b.at, b.id]) ? 1 : -1)
  const behind = (after: Option.Option<readonly [string, number]>) =>
    Option.match(after, { onNone: () => rows, onSome: (key) => rows.filter((row) => isBehind(row, key)) })
  return {
    "an array": Source.fromIterable(rows),
    "a Set": Source.fromIterable(new Set(rows)),
    "a function that makes an iterator": Source.fromIterable(() => rows.values()),
    "a range": Source.range(-3, count - 4),
    "pages": Source.paged(Key, (after, limit) => Effect.succeed(behind(after).slice(0, limit)), keyOf, { size: 5 }),
    "pages that are not full": Source.paged(Key, (after) => Effect.succeed(behind(after).slice(0, 3)), keyOf),
    "pages with tokens": Source.paginate(Schema.Struct({ skip: Schema.Int }), { skip: 0 }, ({ skip }) => {
      const next = skip + 4
      return Effect.succeed([rows.slice(skip, next), next < count ? { skip: next } : undefined])
    }),
    "a stream": Source.fromStream(Key, (after) => Stream.fromIterable(behind(after)), keyOf),
    "a mapped source": Source.map(Source.range(1, count), (n) => ({ n }))
  }
}

const all = (source: Source.Source<unknown>, after?: string) => Stream.runCollect(source(Option.fromUndefinedOr(after)))

describe("Source", () => {
  for (const name of Object.keys(sources(0))) {
    it.effect.prop(
      `${name} gives behind each cursor what it gives behind it in one piece`,
      { count: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 12 })) },
      ({ count }) =>
        Effect.gen(function*() {
          const source = sources(count)[name] ?? assert.fail()
          const elements = yield* all(source)
          assert.lengthOf(elements, count)
          assert.strictEqual(new Set(elements.map(({ cursor }) => cursor)).size, count)
          for (const [index, { cursor }] of elements.entries()) {
            assert.deepStrictEqual(yield* all(source, cursor), elements.slice(index + 1))
          }
        })
    )
  }

  const defectOf = (source: Source.Source<unknown>, after?: string) =>
    Effect.map(Effect.exit(all(source, after)), (exit) => String(Exit.isFailure(exit) && Cause.squash(exit.cause)))

  it.effect("refuses an iterator, which can be read only once", () =>
    Effect.gen(function*() {
      const once = [1, 2, 3].values()
      // @ts-expect-error -- the type says the same
      const defect = yield* defectOf(Source.fromIterable(once))

      assert.match(defect, /can be read only once: give an array, or a function that makes the iterator/)
    }))

  it.effect("says that a stored cursor is not its own", () =>
    Effect.gen(function*() {
      for (const [name, source] of Object.entries(sources(3))) {
        const defect = yield* defectOf(source, "a/b")
        assert.match(defect, /had another source before: its cursor a\/b does not fit|items .* have changed/, name)
      }
    }))

  for (const [what, items] of Object.entries({ fewer: [1], other: [1, 3, 3], reordered: [2, 1, 3] })) {
    it.effect(`refuses ${what} items than before`, () =>
      Effect.gen(function*() {
        const [, second] = yield* all(Source.fromIterable([1, 2, 3]))
        const defect = yield* defectOf(Source.fromIterable(items), second?.cursor)

        assert.match(defect, /The items of this fan-out have changed since item 1 has run/)
      }))
  }

  it.effect("refuses a range of numbers that are not whole", () =>
    Effect.gen(function*() {
      assert.match(yield* defectOf(Source.range(0.5, 3)), /a whole number up to 2\^53; it was given 0.5/)
    }))

  it.effect("refuses pages that take no notice of the key", () =>
    Effect.gen(function*() {
      const source = Source.paged(Schema.Int, () => Effect.succeed([{ id: 1 }, { id: 2 }]), ({ id }) => id)

      assert.match(yield* defectOf(source), /The page behind the key 2 has the key 1 again/)
      assert.match(yield* defectOf(source, "2"), /The page behind the key 2 has the key 2 again/)
      const twice = Source.paged(Schema.Int, () => Effect.succeed([{ id: 1 }, { id: 1 }]), ({ id }) => id)
      assert.match(yield* defectOf(twice), /has the key 1 again/)
      const empty = Source.paged(Schema.Int, () => Effect.succeed([]), () => 1, { size: 0 })
      assert.match(yield* defectOf(empty), /The size of a page has to be a whole number, at least 1; it was given 0/)
      const itself = Source.paginate(Schema.Int, 7, (page) => Effect.succeed([[page], page]))
      assert.match(yield* defectOf(itself), /The page of \[7,0\] gives itself as the next page/)
    }))

  it.effect("maps what a source settles, and what a retry of it runs", () =>
    Effect.gen(function*() {
      const outcome = { _tag: "Skipped", reason: "empty", count: 1 } as const
      const source: Source.Source<number> = () =>
        Stream.make(
          Source.item("1", 1, { opens: true }),
          Source.settled("2", { key: "two", outcome }),
          Source.settled("3", { key: "three", outcome, retry: { payload: 3 } }),
          Source.closes("4", 4)
        )

      assert.deepStrictEqual(yield* all(Source.map(source, String)), [
        { _tag: "Item", cursor: "1", payload: "1", opens: true },
        { _tag: "Settled", cursor: "2", key: "two", outcome },
        { _tag: "Settled", cursor: "3", key: "three", outcome, retry: { payload: "3" } },
        { _tag: "After", cursor: "4", payload: "4" }
      ])
    }))
})
