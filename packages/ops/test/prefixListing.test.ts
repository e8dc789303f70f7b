import { assert, describe, it } from "@effect/vitest"
import { type ListedObject, type ObjectStore, type ObjectStoreError, ObjectStores } from "@fanout/ops/ObjectStore"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { runs } from "../../../test/effort.ts"
import { bytesOf } from "../src/internal/cloud/keyBytes.ts"
import { listAfter } from "../src/internal/cloud/prefixListing.ts"
import * as MemoryStore from "./memoryStore.ts"
import * as World from "./objectHarness.ts"

const compare = (a: string, b: string): number => Buffer.compare(bytesOf(a), bytesOf(b))

/** A store that is far away. */
interface Far {
  readonly store: ObjectStore
  /** Requests for pages and for children, those that are under way, and the most of these. */
  pages: number
  children: number
  now: number
  most: number
  /** A failure takes the place of an answer. `at` is the key from which on it was asked for. */
  fault: (at: string) => Effect.Effect<void, ObjectStoreError>
  /** Keys that were removed. */
  readonly gone: Set<string>
}

interface Options {
  readonly delayMillis?: number
  readonly pageKeys?: number
  readonly childKeys?: number
}

const far = (keys: ReadonlyArray<string>, { childKeys = 100, delayMillis = 100, pageKeys = 10 }: Options = {}) =>
  Effect.gen(function*() {
    const { at } = yield* ObjectStores
    const real = yield* at({ scheme: "s3", bucket: "bucket" })
    const all = Array.from(new Set(keys)).map((key) => ({ key, bytes: bytesOf(key) })).toSorted((a, b) =>
      Buffer.compare(a.bytes, b.bytes)
    )
    const from = (prefix: string, after = ""): ReadonlyArray<string> => {
      const bytes = bytesOf(after)
      const first = all.findIndex(({ bytes: key }) => Buffer.compare(key, bytes) > 0)
      if (first < 0) return []
      return all.slice(first).map(({ key }) => key).filter((key) => key.startsWith(prefix) && !far.gone.has(key))
    }
    const request = <A>(at: string, answer: () => A): Effect.Effect<A, ObjectStoreError> =>
      Effect.suspend(() => {
        far.most = Math.max(far.most, ++far.now)
        return Effect.sleep(delayMillis).pipe(
          Effect.andThen(Effect.suspend(() => far.fault(at))),
          Effect.andThen(Effect.sync(answer)),
          Effect.ensuring(Effect.sync(() => void far.now--))
        )
      })
    const page = (prefix: string, after: string | undefined) =>
      // A store goes on by a token, which may stand for any key.
      request(after ?? prefix, () => {
        far.pages++
        const keys = from(prefix, after)
        const page = keys.slice(0, pageKeys)
        const objects = page.map((key): ListedObject => ({ key, sizeBytes: 0, etag: "", storedMillis: 0 }))
        return [objects, Option.fromUndefinedOr(keys.length > page.length ? page.at(-1) : undefined)] as const
      })
    const far: Far = {
      pages: 0,
      children: 0,
      now: 0,
      most: 0,
      fault: () => Effect.void,
      gone: new Set(),
      store: {
        ...real,
        list: (prefix, { after } = {}) => {
          assert.isTrue(prefix.isWellFormed() && after?.isWellFormed() !== false)
          return Stream.paginate(after, (after) => page(prefix, after))
        },
        children: (prefix, { after } = {}) =>
          request(after ?? prefix, () => {
            assert.isTrue(prefix.isWellFormed() && after?.isWellFormed() !== false)
            far.children++
            const cut = from(prefix, after).map((key) => key.slice(0, key.indexOf("/", prefix.length) + 1) || key)
            return Array.from(new Set(cut)).slice(0, childKeys).toReversed()
          })
      }
    }
    return far
  }).pipe(Effect.provide(MemoryStore.layer({ buckets: ["bucket"] })))

/** Runs an effect while time passes, and tells how much has. */
const inTime = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(effect)
    let millis = 0
    for (; fiber.pollUnsafe() === undefined; millis += 20) yield* TestClock.adjust("20 millis")
    return { result: yield* Fiber.join(fiber), millis }
  })

const keysOf = (listed: Stream.Stream<ListedObject, ObjectStoreError>) =>
  inTime(Effect.map(Stream.runCollect(listed), (all) => all.map(({ key }) => key)))

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n)

/** Folders with so many keys each. */
const tree = (folders: number, each: number): ReadonlyArray<string> =>
  numbers(folders).flatMap((folder) => numbers(each).map((n) => `x/folder-${folder}/file-${n}`))

const sorted = (keys: ReadonlyArray<string>): ReadonlyArray<string> => Array.from(new Set(keys)).toSorted(compare)

/** Names that often begin alike, and have characters on both sides of the slash. */
const Name = Schema.Literals(["", "a", "a.", "a0", "b", "é", "..", "\0", "\u{ffff}", "😀", "\udcff", "b\udc80"])
const Key = Schema.Array(Name).check(Schema.isMinLength(1), Schema.isMaxLength(4))

const failure = World.failure({ _tag: "ServiceFailed", status: 500, code: "InternalError" }, "list")

describe("Listing of several prefixes at once", () => {
  it.effect.each<readonly [string, ReadonlyArray<string>, Options, times: number]>([
    ["nearly as large as a page", tree(200, 9), {}, 3.9],
    ["as large as a page", tree(200, 10), {}, 2],
    ["small", tree(1000, 4), { pageKeys: 20 }, 3],
    ["of different sizes", numbers(999).flatMap((n) => tree(1, 1 + n * 3 % 4).map((key) => `${n}/${key}`)), {}, 1.8],
    ["in folders", numbers(4).flatMap((n) => tree(200, 4).map((key) => `${n}/${key}`)), {}, 2]
  ])("takes a part of the time where folders are %s", ([, keys, options, times]) =>
    Effect.gen(function*() {
      const plain = yield* far(keys, options)
      const alone = yield* keysOf(plain.store.list(""))
      const together = yield* far(keys, options)

      const { millis, result } = yield* keysOf(listAfter(together.store, ""))

      assert.deepStrictEqual(result, sorted(keys))
      assert.isBelow(millis, alone.millis / times)
      assert.isBelow(together.pages + together.children, 2 * plain.pages)
      assert.isAtMost(together.most, 8)
    }))

  it.effect.prop(
    "lists what one page after the other does, from any key on",
    {
      keys: Schema.Array(Key).check(Schema.isMaxLength(40)),
      seed: Schema.Natural,
      pageKeys: Schema.Literals([1, 2, 3, 7]),
      childKeys: Schema.Literals([1, 5, 100])
    },
    ({ childKeys, keys, pageKeys, seed }) =>
      Effect.gen(function*() {
        // Names of all kinds, in folders that are as many.
        const folders = ["", "a", "a.", "b", "b/c", "\u{ffff}", "é\0"]
        const odd = keys.flatMap((names, index) =>
          folders.map((folder) => `x/${folder}/${names.join("/")}${index % 3}`)
        )
        const all = sorted([...keys.map((names) => `x/${names.join("/")}`), ...odd, "x/", "x", "x0", "y/a"])
        const store = yield* far(all, { childKeys, pageKeys })
        const below = all.filter((key) => key.startsWith("x/"))
        const after = seed % 4 === 0 ? undefined : below[seed % below.length]?.slice(2)
        const expected = after === undefined ? below : below.filter((key) => compare(key.slice(2), after) > 0)

        const { result } = yield* keysOf(listAfter(store.store, "x/", after))

        assert.deepStrictEqual(result, expected)
      }),
    { arbitrary: { runs: runs(100) } }
  )

  it.effect("makes no request more of a store that is near, of few keys, or for who is slow", () =>
    Effect.gen(function*() {
      const near = yield* far(tree(100, 10), { delayMillis: 20 })
      const few = yield* far(tree(11, 10))
      const slow = yield* far(tree(100, 10))

      yield* keysOf(listAfter(near.store, ""))
      yield* keysOf(listAfter(few.store, ""))
      yield* keysOf(
        Stream.mapArrayEffect(listAfter(slow.store, ""), (page) => Effect.as(Effect.sleep("120 millis"), page))
      )

      assert.deepStrictEqual([near.pages, near.children], [100, 0])
      assert.deepStrictEqual([few.pages, few.children], [11, 0])
      assert.deepStrictEqual([slow.pages, slow.children], [100, 0])
    }))

  it.effect("lists all where folders are told by wrong names, or twice", () =>
    Effect.gen(function*() {
      const keys = numbers(60).flatMap((folder) => numbers(9).map((n) => `x/${100 + folder}+b/${n}`))
      const there = yield* far(keys)
      const told = (change: (child: string) => ReadonlyArray<string>): ObjectStore => ({
        ...there.store,
        children: (prefix, options) =>
          Effect.map(there.store.children(prefix, options), (children) => children.flatMap(change))
      })

      // Some services do not encode the names of folders as they say that they do.
      const { result: wrong } = yield* keysOf(listAfter(told((child) => [child.replaceAll("+", " ")]), ""))
      const { result: twice } = yield* keysOf(listAfter(told((child) => [child, child]), ""))

      assert.isAbove(there.children, 1)
      assert.deepStrictEqual(wrong, keys)
      assert.deepStrictEqual(twice, keys)
    }))

  it.effect("asks seldom where nothing is in folders", () =>
    Effect.gen(function*() {
      const flat = yield* far(numbers(3000).map((n) => `x/file-${n}`), { childKeys: 10 })

      yield* keysOf(listAfter(flat.store, "x/"))

      assert.strictEqual(flat.pages, 300)
      assert.isBelow(flat.children, 6)
    }))

  it.effect("has no more pages at once than are asked for together", () =>
    Effect.gen(function*() {
      const there = yield* far(tree(200, 9))
      let [met, ahead] = [0, 0]

      yield* inTime(Stream.runForEachArray(listAfter(there.store, ""), () =>
        Effect.andThen(
          Effect.sync(() => void (ahead = Math.max(ahead, there.pages - ++met))),
          // Once it is no more waited for, pages are asked for ahead all the same.
          met < 20 ? Effect.void : Effect.sleep("500 millis")
        )))

      assert.isAtLeast(ahead, 6)
      assert.isAtMost(ahead, 15)
    }))

  it.effect("asks again for what has failed before it was needed, and fails where it fails again", () =>
    Effect.gen(function*() {
      const keys = sorted(tree(200, 9))
      const once = yield* far(keys)
      const failed = new Set<string>()
      once.fault = (at) => {
        const fails = once.children > 0 && at.includes("5") && !failed.has(at)
        if (fails) failed.add(at)
        return fails ? Effect.fail(failure) : Effect.void
      }
      const always = yield* far(keys)
      always.fault = (at) => at.startsWith("x/folder-170") ? Effect.fail(failure) : Effect.void

      const { result } = yield* keysOf(listAfter(once.store, "", keys[0]))
      const met: Array<string> = []
      const { result: error } = yield* inTime(
        Effect.flip(Stream.runForEach(listAfter(always.store, ""), ({ key }) => Effect.sync(() => void met.push(key))))
      )

      assert.deepStrictEqual(result, keys.slice(1))
      assert.isAbove(failed.size, 15)
      assert.strictEqual(error, failure)
      assert.deepStrictEqual(met, keys.slice(0, met.length))
      assert.isAtLeast(met.length, keys.indexOf("x/folder-169/file-8"))
    }))

  it.effect.prop(
    "meets each key once where all that was met is removed, whichever requests fail",
    {
      each: Schema.Literals([3, 9, 15, 25]),
      every: Schema.Literals([2, 3, 7]),
      seed: Schema.Natural
    },
    ({ each, every, seed }) =>
      Effect.gen(function*() {
        const keys = sorted(tree(60, each))
        const there = yield* far(keys)
        const failed = new Set<string>()
        there.fault = (at) => {
          const number = Array.from(at).reduce((sum, character) => sum + character.charCodeAt(0), 0)
          if (there.children === 0 || (number + seed) % every > 0 || failed.has(at)) return Effect.void
          failed.add(at)
          return Effect.fail(failure)
        }
        const met: Array<string> = []
        const meet = Effect.suspend(() =>
          Stream.runForEachArray(listAfter(there.store, "", met.at(-1)), (page) =>
            Effect.sync(() => {
              for (const { key } of page) {
                met.push(key)
                there.gone.add(key)
              }
            }))
        )

        // Where a page fails that nothing else stands for, whoever lists begins behind the last key.
        yield* inTime(Effect.eventually(meet))

        assert.deepStrictEqual(met, keys)
      }),
    { arbitrary: { runs: runs(150) } }
  )

  it.effect("ends its requests with its reader", () =>
    Effect.gen(function*() {
      const there = yield* far(tree(200, 9))
      const met = yield* Ref.make(0)
      const reader = yield* Effect.forkChild(
        Stream.runForEachArray(listAfter(there.store, ""), () => Ref.update(met, (count) => count + 1))
      )
      while ((yield* Ref.get(met)) < 30) yield* TestClock.adjust("20 millis")
      assert.isAbove(there.now, 1)

      yield* Fiber.interrupt(reader)

      const { pages } = there
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual([there.now, there.pages], [0, pages])
    }))

  it.effect.each<readonly [string, (store: ObjectStore) => ObjectStore]>([
    [
      "lists in no order",
      (store) => ({
        ...store,
        list: (prefix, options) =>
          Stream.flatMap(Stream.chunks(store.list(prefix, options)), (page) => Stream.fromArray(page.toReversed()))
      })
    ],
    [
      "knows no start",
      (store) => ({ ...store, list: (prefix) => store.list(prefix), children: (prefix) => store.children(prefix) })
    ]
  ])("comes to an end with a store that %s", ([, change]) =>
    Effect.gen(function*() {
      const there = yield* far(tree(60, 10))
      const { result } = yield* keysOf(listAfter(change(there.store), ""))
      assert.deepStrictEqual(sorted(result), sorted(tree(60, 10)))
      assert.strictEqual(result.length, 600)
    }))
})
