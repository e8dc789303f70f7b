/**
 * Lists what is in a folder of objects from pages of the listing of a whole tree: a page tells of all small folders in
 * it, and a large folder takes one request more where only its name is asked for.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as FilePath from "../../FilePath.ts"
import { FilesError } from "../../FilesError.ts"
import * as FolderListing from "../../FolderListing.ts"
import type { ListedObject } from "../../ObjectStore.ts"
import { bytesOf, lastCharacter } from "../cloud/keyBytes.ts"
import { listAfter } from "../cloud/prefixListing.ts"
import { asCall, type ObjectAccess, type ObjectPlace } from "./objectAccess.ts"
import { refusalOf, why } from "./objectKeys.ts"

/** Objects that follow one another. */
interface Page {
  /** Key right behind which they begin, and that of the last of them; nothing where no object follows. */
  readonly after: Uint8Array
  readonly last: Uint8Array | undefined
  readonly objects: ReadonlyArray<ListedObject>
  readonly askedMillis: number
}

/** So many pages are kept, for those who walk a tree at different paces, and for so long. */
const [mostPages, mostMillis] = [4, 60_000]

const isBehind = (key: Uint8Array, other: Uint8Array): boolean => Buffer.compare(key, other) > 0

/** How many of the objects are not behind a key. */
const countUpTo = (objects: ReadonlyArray<ListedObject>, key: Uint8Array): number => {
  let [low, high] = [0, objects.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (isBehind(bytesOf(objects[middle]?.key ?? ""), key)) high = middle
    else low = middle + 1
  }
  return low
}

/** Pages of the listing of one tree, of which some are kept. */
export class Pages {
  private readonly root: ObjectPlace
  private readonly prefix: string
  private recent: ReadonlyArray<Page> = []

  /** `root` is the folder that all is listed in. */
  constructor(root: ObjectPlace) {
    this.root = root
    this.prefix = root.key === "" ? "" : `${root.key}/`
  }

  /** Whether this is the folder that all is listed in: what marks it is listed in no other. */
  isOf({ key }: ObjectPlace): boolean {
    return key === this.root.key
  }

  /** Objects behind a key, as many as there are at once; none where these were all. */
  readonly behind = Effect.fnUntraced(function*(this: Pages, key: string) {
    const [from, now] = [bytesOf(key), yield* Clock.currentTimeMillis]
    const found = this.recent.find(({ after, askedMillis, last }) =>
      now - askedMillis < mostMillis && !isBehind(after, from) && (last === undefined || isBehind(last, from))
    )
    if (found !== undefined) return found.objects.slice(countUpTo(found.objects, from))
    // The object that has the key of the folder itself is nothing in it. A bucket has none.
    const below = key.length <= this.root.key.length ? undefined : key.slice(this.prefix.length)
    const listed = listAfter(this.root.store, this.prefix, below)
    const page = yield* Stream.runHead(Stream.chunks(listed))
    const objects = Option.getOrElse(page, (): ReadonlyArray<ListedObject> => [])
    const last = objects.at(-1)
    const asked = { after: from, last: last && bytesOf(last.key), objects, askedMillis: now }
    this.recent = [asked, ...this.recent].slice(0, mostPages)
    // A store that does not go on behind a key, or tells keys in no order, must not be asked for ever.
    return objects.filter(({ key }) => isBehind(bytesOf(key), from))
  })
}

/**
 * Key behind that of an object, and behind nearly all that is in the folder that it is in. No request can have a key
 * that is behind all: names of few characters come behind it, one after the other.
 */
const behindFolder = (prefix: string, key: string): string => {
  const behind = `${prefix}${lastCharacter}`
  return isBehind(bytesOf(key), bytesOf(behind)) ? key : behind
}

/** So many keys are named that are no paths. */
const mostNamed = 5

/** Takes down the names that keys have in a folder, and what is no name. */
class Names {
  private readonly folder: FilePath.FilePath
  private readonly builder = FolderListing.builderUnsafe()
  /** Objects whose keys the next ones begin with: one of these may be that of a folder, too. */
  private begun: ReadonlyArray<string> = []
  private folderName: string | undefined
  private refusedName: string | undefined
  private refused = 0
  private readonly named: Array<string> = []

  constructor(folder: FilePath.FilePath) {
    this.folder = folder
  }

  private refuse(name: string, key: string, code: string): void {
    if (name === this.refusedName) return
    this.refusedName = name
    if (this.refused++ < mostNamed) this.named.push(`"${FilePath.printable(key)}" (${why[code]})`)
  }

  /** Takes the key below the folder. Gives the folder that it is in. */
  meet(key: string, sizeBytes: number): string | undefined {
    if (key === "") {
      // It marks the folder itself.
      if (sizeBytes > 0) this.refuse(key, `${FilePath.name(this.folder)}/`, "MARKER")
      return undefined
    }
    const slash = key.indexOf("/")
    const name = slash < 0 ? key : key.slice(0, slash)
    const isMarker = slash === key.length - 1
    const code = refusalOf([name]) ?? (isMarker && sizeBytes > 0 ? "MARKER" : undefined)
    if (code !== undefined) this.refuse(name, key, code)
    if (code !== undefined && code !== "MARKER") return slash < 0 ? undefined : name
    if (slash >= 0 && name === this.folderName) return name
    this.begun = this.begun.filter((begun) => name.startsWith(begun))
    if (slash < 0) {
      this.begun = [...this.begun, name]
      this.builder.addUnsafe(Buffer.from(name).toString("latin1"), "file")
      return undefined
    }
    this.folderName = name
    // The object has the name already: what is in the folder of its name is not looked at.
    if (this.begun.includes(name)) this.refuse(name, key, "TAKEN")
    else this.builder.addUnsafe(Buffer.from(name).toString("latin1"), "folder")
    return name
  }

  readonly build = Effect.fnUntraced(function*(this: Names) {
    const listing = yield* this.builder.build
    if (this.refused === 0) return listing
    const more = this.refused > mostNamed ? `, and ${this.refused - mostNamed} more` : ""
    const told = `Objects in "${FilePath.display(this.folder)}" can't be files: ${this.named.join(", ")}${more}`
    const fault = new FilesError({ call: "scandir", path: this.folder, target: Option.none(), code: "NOPATH", told })
    return Object.assign(listing, { fault })
  })
}

/** Lists the folder of this path from the pages of a tree that it is in. */
export const list = Effect.fnUntraced(function*(access: ObjectAccess, path: FilePath.FilePath, pages?: Pages) {
  const place = yield* asCall("scandir", path, access.at(path))
  const prefix = place.key === "" ? "" : `${place.key}/`
  const names = new Names(path)
  const from = pages ?? new Pages(place)
  let after: string | undefined = pages?.isOf(place) === true ? place.key : prefix
  while (after !== undefined) {
    const objects: ReadonlyArray<ListedObject> = yield* asCall("scandir", path, from.behind(after))
    after = undefined
    for (const { key, sizeBytes } of objects) {
      const isWithin = key.startsWith(prefix)
      const folder = isWithin ? names.meet(key.slice(prefix.length), sizeBytes) : undefined
      after = !isWithin ? undefined : folder === undefined ? key : behindFolder(`${prefix}${folder}/`, key)
      if (!isWithin) break
    }
  }
  return yield* names.build()
})
