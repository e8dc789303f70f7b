/**
 * Removes the sources of a moved unit, after their copies are flushed and a checkpoint says so.
 *
 * A source is first put aside: one rename takes it, or a folder with everything in it, into a folder of the job's own
 * beside it, where it keeps its name. So no other file can take the place of a source in the last moment. Only copied
 * sources are put aside. A source that has changed since the copy gets its name back. So does everything that a job
 * finds aside when it goes on or is given up.
 */
import { type Answer, type Calls, isCode } from "../../Calls.ts"
import * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import { giveBackName } from "../files/freeName.ts"
import type { Routine } from "../files/routine.ts"
import { isAlike } from "../files/statComparison.ts"
import { type Remover, removeTree } from "../files/treeRemoval.ts"
import * as NumberedName from "../path/numberedName.ts"
import { unfinishedMode, withInherited } from "../path/unfinishedFolder.ts"
import type { Moved } from "../steps/savedCopy.ts"
import { editionOf, isContentOf, isEdition } from "../steps/sourceEdition.ts"
import type { Placement, Removed, Unit } from "../steps/unit.ts"
import { Folders } from "./folderHandles.ts"
import { namesIn } from "./folderNames.ts"
import type { Limits } from "./placement.ts"

/** Mode by which a folder of sources is recognised. Drafts have another mode, and so have most folders of others. */
const asideMode = 0o4700

type Known = Pick<Files.FileStat, "kind" | "mode" | "owner">

/**
 * Whether a folder with a temporary name has sources that were put aside. On FAT, where all folders have the same mode
 * and owner, every folder with a temporary name counts as one.
 */
export const isAside = (stat: Known, parent: Known, user: number): boolean =>
  stat.kind === "folder" &&
  ((stat.owner === user && stat.mode === withInherited(asideMode, stat)) ||
    (stat.owner === parent.owner && stat.mode === parent.mode && stat.mode !== withInherited(unfinishedMode, stat)))

/** Opens the folder of sources; `undefined` where another folder has the name. */
function* openAside(calls: Calls, parent: number, name: FilePath.FilePath): Routine<Answer<number | undefined>> {
  const folder = yield* calls.open(parent, name, "list")
  if (isCode(folder)) return folder
  const [stat, around] = [yield* calls.stat(folder), yield* calls.stat(parent)]
  if (!isCode(stat) && !isCode(around) && isAside(stat, around, calls.user())) return folder
  calls.closeNow(folder)
  return isCode(stat) ? stat : isCode(around) ? around : undefined
}

/** Makes the folder of sources, and opens it; `undefined` where that fails. */
function* makeAside(calls: Calls, parent: number, name: FilePath.FilePath): Routine<number | undefined> {
  // A folder that has not got its mode yet is empty.
  yield* calls.removeFolder(parent, name)
  if (isCode(yield* calls.makeFolder(parent, name, 0o700))) return undefined
  const made = yield* calls.open(parent, name, "list")
  const stat = isCode(made) ? made : yield* calls.stat(made)
  if (!isCode(made)) {
    if (!isCode(stat)) yield* calls.setMode(made, withInherited(asideMode, stat))
    calls.closeNow(made)
  }
  const aside = yield* openAside(calls, parent, name)
  if (aside !== undefined && !isCode(aside)) return aside
  yield* calls.removeFolder(parent, name)
  return undefined
}

/** Gives a source its name back, or a numbered name if the name is taken. */
function* putBack(calls: Calls, aside: number, parent: number, name: FilePath.FilePath): Routine<void> {
  for (let number = 0; number <= NumberedName.maxNumber; number++) {
    const to = number === 0 ? name : NumberedName.make(name, number)
    const back = yield* giveBackName(calls, { folder: aside, name }, { folder: parent, name: to })
    if (!isCode(back) || back.name !== "EEXIST") return
  }
}

/** Gives all sources in an open folder their names back. Gives these names; `undefined` if a source is left. */
function* putAllBack(
  calls: Calls,
  aside: number,
  parent: number,
  name: FilePath.FilePath
): Routine<ReadonlySet<FilePath.FilePath> | undefined> {
  const { folders = [], others = [] } = (yield* namesIn(calls, aside, Number.POSITIVE_INFINITY)) ?? {}
  for (const name of [...others, ...folders]) yield* putBack(calls, aside, parent, name)
  return isCode(yield* calls.removeFolder(parent, name)) ? undefined : new Set([...others, ...folders])
}

/** Gives all sources that are aside in a folder their names back, like `putAllBack`. */
function* restoreAside(
  calls: Calls,
  parent: number,
  name: FilePath.FilePath
): Routine<ReadonlySet<FilePath.FilePath> | undefined> {
  const aside = yield* openAside(calls, parent, name)
  if (aside === undefined) return new Set()
  if (isCode(aside)) return aside.name === "ENOENT" ? new Set() : undefined
  const restored = yield* putAllBack(calls, aside, parent, name)
  calls.closeNow(aside)
  return restored
}

/** The copied sources to remove. */
export interface ToRemove extends Moved {
  /** Whether an earlier run may have begun with it, so that others may have changed the copies since. */
  readonly isAgain: boolean
}

/** Editions of copied files and links, by their paths. */
type Editions = Map<FilePath.FilePath, string>

const editionsOf = ({ copied: { editions } }: Placement): Editions =>
  new Map(
    editions.flatMap(({ editions, names, path }) =>
      names.map((name, index) => [FilePath.join(path, name), editions[index] ?? ""] as const)
    )
  )

/** A copied source, and the state of its removal. */
class Source {
  readonly name: FilePath.FilePath
  readonly isFolder: boolean
  readonly editions: Editions
  readonly left: Editions
  isGone = false
  isFolderLeft = false
  folders = 0

  constructor(one: Placement) {
    this.name = one.name
    this.isFolder = one.isFolder
    this.editions = editionsOf(one)
    this.left = new Map(this.editions)
  }

  /** Notes that all entries of a folder are gone that are not among the found ones. */
  forget(folder: FilePath.FilePath, found: ReadonlySet<FilePath.FilePath>): void {
    for (const path of this.left.keys()) {
      if (!FilePath.isWithin(path, folder)) continue
      const end = path.indexOf("/", folder.length + 1)
      if (!found.has(end < 0 ? path : FilePath.make(path.slice(0, end)))) this.left.delete(path)
    }
  }

  get removed(): Removed {
    const { folders, isFolderLeft, isGone, left } = this
    return { left: Array.from(left, ([path, edition]) => ({ path, edition })), isGone, isFolderLeft, folders }
  }
}

/** An entry to remove. */
interface Entry {
  readonly path: FilePath.FilePath
  readonly isFolder: boolean
  readonly source: Source
}

/** The folder of the sources, and the folder that they are put into. */
interface Aside {
  readonly parent: number
  readonly aside: number
}

/** Whether the copy is still like its source. */
function* hasCopy(
  calls: Calls,
  copies: Folders,
  path: FilePath.FilePath,
  stat: Files.FileStat
): Routine<boolean> {
  const folder = yield* copies.at(FilePath.parent(path))
  const copy = folder === undefined ? undefined : yield* calls.lstat(folder, FilePath.name(path))
  return copy !== undefined && !isCode(copy) && isAlike(stat, copy)
}

class SourceRemoval {
  private readonly calls: Calls
  private readonly aside: FilePath.FilePath
  private readonly isAgain: boolean
  private readonly kept: ReadonlySet<FilePath.FilePath>
  /** Folders that were not copied. */
  private readonly uncopied: ReadonlySet<FilePath.FilePath>
  /** The folders of the copies, if an earlier run has made these: then each copy is looked at. */
  private readonly copies: Folders | undefined
  private readonly mayPublish: () => boolean
  /** Whether a source that is aside could not be given its name back. */
  isStuck = false

  constructor(calls: Calls, { aside, isAgain, kept, placed }: ToRemove, copies: Folders, mayPublish: () => boolean) {
    this.calls = calls
    this.aside = aside
    this.isAgain = isAgain
    this.kept = new Set(kept)
    const rest = placed.flatMap(({ copied }) => copied.rest)
    this.uncopied = new Set(rest.flatMap(({ folders, path }) => folders.map((name) => FilePath.join(path, name))))
    this.copies = isAgain ? copies : undefined
    this.mayPublish = mayPublish
  }

  /**
   * Removes entries of a folder until its time is over, one entry at least: the given ones, or all of a folder. Gives
   * the number of entries it has tried.
   */
  *removeIn(parent: number, from: ReadonlyArray<Entry> | Entry, mayGoOn = () => true): Routine<number> {
    const { calls } = this
    const restored = this.mayPublish() ? yield* restoreAside(calls, parent, this.aside) : undefined
    this.isStuck ||= restored === undefined
    const aside = restored === undefined ? undefined : yield* makeAside(calls, parent, this.aside)
    if (restored === undefined || aside === undefined) return Number.POSITIVE_INFINITY
    let count = 0
    try {
      // The folder of sources is empty now.
      for (const entry of "path" in from ? yield* this.entriesIn(parent, from) : from) {
        if (!this.mayPublish() || (count > 0 && !mayGoOn())) break
        count++
        if (!entry.isFolder) yield* this.removeFile({ parent, aside }, entry, restored.has(FilePath.name(entry.path)))
        else if (this.kept.has(entry.path)) yield* this.removeInKept(parent, entry)
        else if (!this.uncopied.has(entry.path)) yield* this.removeFolder({ parent, aside }, entry)
      }
    } finally {
      if (!this.mayPublish() || (yield* putAllBack(calls, aside, parent, this.aside)) === undefined) this.isStuck = true
      calls.closeNow(aside)
    }
    return count
  }

  /** Lists a folder. */
  private *entriesIn(folder: number, { path, source }: Entry): Routine<ReadonlyArray<Entry>> {
    const names = yield* namesIn(this.calls, folder)
    if (names === undefined) return []
    const entry = (isFolder: boolean) => (name: FilePath.FilePath) => ({
      path: FilePath.join(path, name),
      isFolder,
      source
    })
    const folders = names.folders.filter((name) => name !== this.aside)
    const entries = [...names.others.map(entry(false)), ...folders.map(entry(true))]
    source.forget(path, new Set(entries.map(({ path }) => path)))
    return entries
  }

  /** Removes the copied entries of a folder that has a rest. */
  private *removeInKept(parent: number, kept: Entry): Routine<void> {
    const { path, source } = kept
    const folder = yield* this.calls.open(parent, FilePath.name(path), "list")
    if (isCode(folder)) {
      if (folder.name === "ENOENT") source.forget(path, new Set())
      // A source that an earlier run has put aside in the folder has not got its name back.
      else this.isStuck ||= this.isAgain
      return
    }
    yield* this.removeIn(folder, kept)
    this.calls.closeNow(folder)
  }

  /** Removes a file or link. The renames of an earlier run have changed its ctime. */
  private *removeFile(
    { aside, parent }: Aside,
    { path, source: { editions, left } }: Entry,
    isRestored: boolean
  ): Routine<void> {
    const { calls, copies } = this
    const [name, edition] = [FilePath.name(path), editions.get(path)]
    if (edition === undefined) return
    const stat = yield* calls.lstat(parent, name)
    if (isCode(stat)) {
      if (stat.name === "ENOENT") left.delete(path)
      return
    }
    const isCopied = isRestored ? isContentOf(stat, edition) : isEdition(stat, edition)
    if (!isCopied || (copies !== undefined && !(yield* hasCopy(calls, copies, path, stat)))) return
    if (isCode(yield* calls.rename(parent, name, aside, name))) return
    const put = yield* calls.lstat(aside, name)
    if (isCode(put) || !isContentOf(put, edition)) return
    if (!isCode(yield* calls.unlink(aside, name))) return void left.delete(path)
    yield* giveBackName(calls, { folder: aside, name }, { folder: parent, name })
    // The renames have changed its ctime.
    const back = yield* calls.lstat(parent, name)
    if (!isCode(back) && isContentOf(back, edition)) left.set(path, editionOf(back))
  }

  /** Notes that a folder is gone with everything in it. */
  private forgetAll({ path, source }: Entry): void {
    source.isGone ||= path === source.name
    source.forget(path, new Set())
  }

  private *removeFolder({ aside, parent }: Aside, entry: Entry): Routine<void> {
    const { calls, copies } = this
    const { path, source } = entry
    const { editions, left } = source
    const name = FilePath.name(path)
    const renamed = yield* calls.rename(parent, name, aside, name)
    if (isCode(renamed)) {
      // An earlier run, or another program, may have removed it.
      if (renamed.name === "ENOENT") this.forgetAll(entry)
      else source.isFolderLeft = true
      return
    }
    const outer = FilePath.parent(path)
    let [at, folder] = [path, -1]
    const remover: Remover = {
      mayGoOn: this.mayPublish,
      *begin(below, opened) {
        at = FilePath.join(outer, below)
        folder = opened
        return true
      },
      *isLeft(name) {
        const below = FilePath.join(at, name)
        const edition = editions.get(below)
        if (edition === undefined) return true
        const stat = yield* calls.lstat(folder, name)
        if (isCode(stat)) return stat.name !== "ENOENT"
        return !isEdition(stat, edition) || (copies !== undefined && !(yield* hasCopy(calls, copies, below, stat)))
      },
      removedName: (name) => void left.delete(FilePath.join(at, name)),
      removedFolder: () => void source.folders++
    }
    yield* removeTree(calls, aside, name, remover, Number.POSITIVE_INFINITY)
    const there = yield* calls.lstat(aside, name)
    if (isCode(there) && there.name === "ENOENT") this.forgetAll(entry)
    else source.isFolderLeft = true
  }
}

/** Results of the removal. */
export interface SourcesRemoved {
  readonly removed: ReadonlyArray<Removed>
  /** Whether a source could not be given its name back. All other sources that are left have their names. */
  readonly isStuck: boolean
}

/** Removes sources until its time is over, and begins after those of the previous turn. */
export function* removeSources(
  calls: Calls,
  { source: path, target }: Unit,
  toRemove: ToRemove,
  { mayGoOn, mayPublish }: Limits,
  before: SourcesRemoved
): Routine<SourcesRemoved> {
  const sources = toRemove.placed.slice(before.removed.length).map((one) => new Source(one))
  const folder = yield* calls.openPath(path, "folder")
  const told = (count: number, isStuck: boolean): SourcesRemoved => ({
    removed: [...before.removed, ...sources.slice(0, count).map(({ removed }) => removed)],
    isStuck: before.isStuck || isStuck
  })
  if (isCode(folder)) return told(sources.length, toRemove.isAgain && folder.name !== "ENOENT")
  const copies = new Folders(calls, target)
  const removal = new SourceRemoval(calls, toRemove, copies, mayPublish)
  const entries = sources.map((source) => ({ path: source.name, isFolder: source.isFolder, source }))
  const count = yield* removal.removeIn(folder, entries, mayGoOn)
  copies.close()
  calls.closeNow(folder)
  return told(mayPublish() ? count : sources.length, removal.isStuck)
}
