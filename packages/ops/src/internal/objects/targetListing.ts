/**
 * Tells what is at the places of copies by listing these beside the walk over their sources: a page of a thousand keys
 * takes the place of as many requests.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as FilePath from "../../FilePath.ts"
import type { ListedObject, ObjectStoreError } from "../../ObjectStore.ts"
import { justBefore } from "../cloud/keyBytes.ts"
import { listAfter } from "../cloud/prefixListing.ts"
import type { Transfer } from "../path/destination.ts"
import type * as FileTree from "../tree/fileTree.ts"
import { type ObjectAccess, ofFolder, patiently } from "./objectAccess.ts"

type Page = readonly [ListedObject, ...ReadonlyArray<ListedObject>]

const isBefore = (a: string, b: string): boolean => Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0

/** The listing of one target, of which pages are asked for that have what is looked for. */
class Pages {
  private page: ReadonlyArray<ListedObject> = []
  private next = 0
  /** So many keys were looked for in the page. */
  private used = 0
  private isOver = false
  private listing: { readonly pull: Pull.Pull<Page, ObjectStoreError>; readonly scope: Scope.Closeable } | undefined
  private readonly listAfter: (after: string) => Stream.Stream<ListedObject, ObjectStoreError>
  private readonly scope: Scope.Scope

  constructor(listAfter: (after: string) => Stream.Stream<ListedObject, ObjectStoreError>, scope: Scope.Scope) {
    this.listAfter = listAfter
    this.scope = scope
  }

  /** What has the key, which is behind all that were looked for before. */
  readonly find = Effect.fnUntraced(function*(this: Pages, key: string) {
    // Where most of a page was looked for, that will be so with the next one.
    const isDense = 2 * this.used > this.page.length
    if (!this.reaches(key) && isDense && this.listing !== undefined) {
      // If it fails it is begun anew.
      yield* Effect.ignore(this.turn(this.listing.pull))
    }
    if (!this.reaches(key)) yield* patiently(this.begin(key))
    this.used++
    return this.inPage(key)
  })

  /** Lists what is not before a key. */
  private readonly begin = Effect.fnUntraced(function*(this: Pages, key: string) {
    if (this.listing !== undefined) yield* Scope.close(this.listing.scope, Exit.void)
    const scope = yield* Scope.fork(this.scope)
    const pull = yield* Scope.provide(Stream.toPull(this.listAfter(justBefore(key))), scope)
    this.listing = { pull, scope }
    yield* this.turn(pull)
  })

  private turn(pull: Pull.Pull<Page, ObjectStoreError>): Effect.Effect<void, ObjectStoreError> {
    const turned = Effect.map(pull, (page) => {
      // No file is looked for that has a key which is not UTF-8.
      this.page = page.filter(({ key }) => key.isWellFormed())
      this.next = this.used = 0
    })
    return Pull.catchDone(turned, () => Effect.sync(() => void (this.isOver = true)))
  }

  private reaches(key: string): boolean {
    const last = this.page.at(-1)
    return this.isOver || (last !== undefined && !isBefore(last.key, key))
  }

  private inPage(key: string): ListedObject | undefined {
    for (let one = this.page[this.next]; one !== undefined && isBefore(one.key, key); one = this.page[this.next]) {
      this.next++
    }
    const found = this.page[this.next]
    return found?.key === key ? found : undefined
  }
}

/** Tells what is at the targets of files that a walk in the order of keys meets. */
export const telling = <R>(
  access: ObjectAccess,
  transfers: ReadonlyArray<Pick<Transfer, "target">>,
  walked: Stream.Stream<FileTree.Element, ObjectStoreError, R>
): Stream.Stream<FileTree.Element, ObjectStoreError, R> =>
  Stream.unwrap(Effect.map(Effect.scope, (scope) => {
    let pages: { readonly source: number; readonly pages: Pages; readonly base: string } | undefined
    const pagesOf = Effect.fnUntraced(function*(source: number, target: FilePath.FilePath) {
      if (pages?.source === source) return pages
      const { key, store } = yield* access.at(target)
      const base = key === "" ? "" : `${key}/`
      pages = { source, base, pages: new Pages((after) => listAfter(store, base, after.slice(base.length)), scope) }
      return pages
    })
    const tell = Effect.fnUntraced(function*(element: FileTree.Element) {
      const target = transfers[element.source]?.target
      const { path, source } = element
      // One that is copied by itself is asked for by itself.
      if (target === undefined || path === "" || !path.isWellFormed()) return
      const at = FilePath.join(target, path)
      if (element._tag === "Leaf") {
        const { base, pages } = yield* pagesOf(source, target)
        const info = yield* pages.find(base + path)
        access.known.set(at, info === undefined ? { _tag: "Absent" } : { _tag: "Object", info })
      } else if (element._tag === "Open" && access.opened !== undefined) {
        const { base, pages } = yield* pagesOf(source, target)
        access.known.set(ofFolder(at), {
          _tag: "Folder",
          isMarked: (yield* pages.find(`${base}${path}/`)) !== undefined
        })
      }
    })
    return Stream.mapArrayEffect(
      walked,
      (elements) => Effect.as(Effect.forEach(elements, tell, { discard: true }), elements)
    )
  }))
