/**
 * Lists what is behind any key. Only the page before tells where a page begins, so a store that is far is asked for
 * several prefixes at once.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ListedObject, ObjectStore, ObjectStoreError } from "../../ObjectStore.ts"
import { bytesOf, justBefore } from "./keyBytes.ts"

type Listed = Stream.Stream<ListedObject, ObjectStoreError>
type Page = ReadonlyArray<ListedObject>

/** What is in a range of keys: all of it, or what is behind one of them. */
type Range = (after?: string) => Listed

/** Ranges of keys that are asked for at the same time, or of which up to two pages wait. */
const atOnce = 7

/** So many pages come one after the other first: small listings take no request more. */
const pagesAlone = 12

/** So many pages tell in which folders keys are. */
const pagesTelling = 8

/** A page of a store that is near takes less than this. */
const farMillis = 25

/** A range should have fewer keys than a page, which nobody knows before: one more page is waited for. */
const shareOfPage = 0.8

/** Fewer ranges are not worth to be asked for. */
const leastRanges = 3

const isBefore = (key: string, bytes: Uint8Array): boolean => Buffer.compare(bytesOf(key), bytes) < 0

/** No request can have a key that is not UTF-8: then it asks for more, and passes that. */
const behind = (store: ObjectStore, prefix: string, key: string): Listed => {
  const bytes = bytesOf(key)
  const [after] = key.split(/\p{Cs}/u, 1)
  return Stream.dropWhile(store.list(prefix, { after }), (object) => Buffer.compare(bytesOf(object.key), bytes) <= 0)
}

/** The key up to and with the slash that ends its folder in a folder; nothing where it is in none. */
const folderOf = (key: string, within: string): string | undefined => {
  const slash = key.startsWith(within) ? key.indexOf("/", within.length) : -1
  return slash < 0 ? undefined : key.slice(0, slash + 1)
}

/** What is behind a key, as far as it was listed. */
class Listing {
  private readonly store: ObjectStore
  private readonly prefix: string
  private last: string | undefined
  private isOver = false
  private isInOrder = true
  private page: Page = []
  private pageKeys = 0
  /** Of the last pages, those that came one after the other: when they were asked for, and for how long. */
  private waits: ReadonlyArray<{ readonly askedAt: number; readonly millis: number }> = []
  private ends: ReadonlyArray<string> = []
  /** So many pages come one after the other before ranges are looked for: ever more where there are none. */
  private alone = pagesAlone
  private isTogether = false

  constructor(store: ObjectStore, prefix: string, after: string | undefined) {
    this.store = store
    this.prefix = prefix
    this.last = after
  }

  private note(page: Page): void {
    const bytes = page.map(({ key }) => bytesOf(key))
    this.isInOrder &&= bytes.every((key, index) =>
      Buffer.compare(bytes[index - 1] ?? bytesOf(this.last ?? ""), key) < 0
    )
    this.page = page
    this.pageKeys = Math.max(this.pageKeys, page.length)
    this.last = page.at(-1)?.key ?? ""
    this.ends = [...this.ends.slice(1 - pagesTelling), this.last]
  }

  /** Whether each of the last pages was waited for, and that takes longer than what is done with them. */
  private isFar(now: number): boolean {
    const [first] = this.waits
    if (first === undefined || this.waits.length < this.alone) return false
    const waited = this.waits.reduce((sum, { millis }) => sum + millis, 0)
    return this.waits.every(({ millis }) => millis >= farMillis) && 2 * waited > now - first.askedAt
  }

  /** Whether ranges can be told of this bucket: some list in no order, and no request can begin at any key. */
  private hasRanges(): boolean {
    return this.isInOrder && this.last?.isWellFormed() === true
  }

  /** Pages one after the other, until the store turns out to be far. */
  private readonly chain = Stream.suspend(() => {
    const listed = this.last === undefined ? this.store.list(this.prefix) : behind(this.store, this.prefix, this.last)
    const next = Effect.fnUntraced(
      function*(this: Listing, pull: Pull.Pull<readonly [ListedObject, ...Page], ObjectStoreError>) {
        const askedAt = yield* Clock.currentTimeMillis
        this.isTogether = this.isFar(askedAt) && this.hasRanges()
        if (this.isTogether) return yield* Cause.done()
        const page = yield* Pull.catchDone(pull, () => {
          this.isOver = true
          return Cause.done()
        })
        const millis = (yield* Clock.currentTimeMillis) - askedAt
        this.waits = [...this.waits.slice(1 - this.alone), { askedAt, millis }]
        this.note(page)
        return page
      }
    )
    return Stream.transformPull(listed, (pull) => Effect.succeed(Effect.suspend(() => next.call(this, pull))))
  })

  /** The folder in which most of the last pages have ended in one child, and the next in another one. */
  private within(last: string): string {
    const namesOf = (key: string) => key.slice(this.prefix.length).split("/")
    const depths = this.ends.slice(1).map((end, index) => {
      const [names, before] = [namesOf(end), namesOf(this.ends[index] ?? "")]
      const shared = names.findIndex((name, depth) => name !== before[depth])
      return shared < 0 ? names.length : shared
    })
    const depth = depths.toSorted((a, b) => a - b)[depths.length >> 1] ?? 0
    return this.prefix + namesOf(last).slice(0, -1).slice(0, depth).map((name) => `${name}/`).join("")
  }

  /** Whether requests can have a key right before this one. */
  private isNameable(key: string): boolean {
    return key.isWellFormed() && Buffer.byteLength(key) < this.store.capabilities.limits.keyBytes - 4
  }

  /** Ranges of about a page each, in their order. The last one has no end. */
  private readonly ranges = Effect.fnUntraced(function*(this: Listing) {
    const { last = "", page, prefix, store } = this
    const within = this.within(last)
    // If it fails, then pages are asked for one after the other, and tell of a failure that lasts.
    const told = yield* Effect.orElseSucceed(store.children(within, { after: last }), (): ReadonlyArray<string> => [])
    const children = told.filter((child) => isBefore(last, bytesOf(child)))
      .toSorted((a, b) => Buffer.compare(bytesOf(a), bytesOf(b)))
    const folders = page.flatMap(({ key }) => folderOf(key, within) ?? [])
    const keysOfFolder = folders.length / Math.max(1, new Set(folders).size)
    const ranges: Array<Range> = []
    let [from, keys]: [string | undefined, number] = [undefined, keysOfFolder / 2]
    const range = (until?: string): Range => {
      const [first, end] = [from, until === undefined ? undefined : bytesOf(until)]
      const start = bytesOf(first ?? last)
      const begin = first === undefined
        ? behind(store, prefix, last)
        : Stream.dropWhile(behind(store, prefix, justBefore(first)), ({ key }) => isBefore(key, start))
      return (after) => {
        const listed = after === undefined ? begin : behind(store, prefix, after)
        return end === undefined ? listed : Stream.takeWhile(listed, ({ key }) => isBefore(key, end))
      }
    }
    for (const child of children) {
      const childKeys = child.endsWith("/") ? keysOfFolder : 1
      if (keys + childKeys > shareOfPage * this.pageKeys && this.isNameable(child)) {
        ranges.push(range(child))
        ;[from, keys] = [child, 0]
      }
      keys += childKeys
    }
    return [...ranges, range()]
  })

  /** Ranges of which some are asked for at once. Of the last one there is only a page. */
  private together(ranges: ReadonlyArray<Range>): Listed {
    return Stream.unwrap(Effect.map(Effect.scope, (scope) =>
      Stream.fromIterable(ranges).pipe(
        Stream.mapEffect((range, index) =>
          Effect.gen(function*() {
            const isLast = index === ranges.length - 1
            const pull = yield* Scope.provide(Stream.toPull(range()), scope)
            const first = yield* Effect.exit(pull)
            const pages = isLast || Exit.isFailure(first) ? [first] : [first, yield* Effect.exit(pull)]
            return { range, pull, pages, isLast }
          }), { concurrency: atOnce }),
        Stream.flatMap(({ isLast, pages, pull, range }) => {
          const found = pages.flatMap((page) => Exit.isSuccess(page) ? [page.value] : [])
          const failed = pages.find(Exit.isFailure)
          const isDone = failed !== undefined && Pull.isDoneCause(failed.cause)
          if (isDone) this.isOver = isLast
          const rest = isLast || isDone
            ? Stream.empty
            : failed === undefined
            ? Stream.fromPull(Effect.succeed(pull))
            // What was met may be gone by now.
            : range(found.at(-1)?.at(-1)?.key)
          return Stream.concat(Stream.flatMap(Stream.fromIterable(found), Stream.fromArray), rest)
        }),
        Stream.mapArray((page) => {
          this.note(page)
          return page
        })
      )))
  }

  /** All of it. */
  readonly all = Stream.flatten(Stream.fromEffectRepeat(Effect.gen({ self: this }, function*() {
    if (this.isOver) return yield* Cause.done()
    if (!this.isTogether) return this.chain
    const ranges = this.hasRanges() ? yield* this.ranges() : []
    this.isTogether = ranges.length >= leastRanges
    this.alone = this.isTogether ? 1 : 2 * this.alone
    this.waits = []
    return this.isTogether ? this.together(ranges) : this.chain
  })))
}

/**
 * Lists what is behind a key below a prefix. The object that has the prefix as its key has an empty one; without a key
 * it is listed, too.
 */
export const listAfter = (store: ObjectStore, prefix: string, key?: string): Listed =>
  Stream.suspend(() => new Listing(store, prefix, key === undefined ? undefined : prefix + key).all)
