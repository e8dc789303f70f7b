/**
 * Tells what is at the places of copies by listing these beside the walk over their sources: a page of a thousand keys
 * takes the place of as many requests.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as FilePath from "../../FilePath.ts"
import type { ListedObject, ObjectStoreError } from "../../ObjectStore.ts"
import { justBefore } from "../cloud/keyBytes.ts"
import type { Transfer } from "../path/destination.ts"
import type * as FileTree from "../tree/fileTree.ts"
import { type ObjectAccess, ofFolder, patiently } from "./objectAccess.ts"

const isBefore = (a: string, b: string): boolean => Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0

/** The listing of one target, of which pages are asked for that have what is looked for. */
class Pages {
  private page: ReadonlyArray<ListedObject> = []
  private next = 0
  private isOver = false
  private readonly listAfter: (after: string) => Stream.Stream<ListedObject, ObjectStoreError>

  constructor(listAfter: (after: string) => Stream.Stream<ListedObject, ObjectStoreError>) {
    this.listAfter = listAfter
  }

  /** What has the key, which is behind all that were looked for before. */
  find(key: string): Effect.Effect<ListedObject | undefined, ObjectStoreError> {
    if (this.isOver || this.reaches(key)) return Effect.sync(() => this.inPage(key))
    return Effect.map(patiently(Stream.runHead(Stream.chunks(this.listAfter(justBefore(key))))), (page) => {
      // No file is looked for that has a key which is not UTF-8.
      this.page = Option.getOrElse(page, () => []).filter(({ key }) => key.isWellFormed())
      this.next = 0
      this.isOver = Option.isNone(page)
      return this.inPage(key)
    })
  }

  private reaches(key: string): boolean {
    const last = this.page.at(-1)
    return last !== undefined && !isBefore(last.key, key)
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
  Stream.suspend(() => {
    let pages: { readonly source: number; readonly pages: Pages; readonly base: string } | undefined
    const pagesOf = Effect.fnUntraced(function*(source: number, target: FilePath.FilePath) {
      if (pages?.source === source) return pages
      const { key, store } = yield* access.at(target)
      const base = key === "" ? "" : `${key}/`
      pages = { source, base, pages: new Pages((after) => store.list(base, { after })) }
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
  })
