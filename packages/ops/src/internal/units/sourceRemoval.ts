/**
 * Removes the sources of a unit that is moved, once their copies are on the device and that is recorded.
 *
 * The sources are put aside first, a folder with all in it by one rename: into a folder of this job's own beside them,
 * in which they keep their names. So nothing else takes the place of a source in the last moment. Only what has a copy
 * is put aside. A source that was changed since gets its name again. All that is found in such a folder gets its name
 * again, too, where a job goes on or is given up.
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

/**
 * Mode by which the folder is known. A draft has another mode. Hardly any folder has this one that others could give
 * such a name.
 */
const asideMode = 0o4700

type Known = Pick<Files.FileStat, "kind" | "mode" | "owner">

/**
 * Whether a folder that has a temporary name is one in which sources were put aside. Where all folders have one mode
 * and one owner, whatever they are given, as on FAT, no folder is a draft.
 */
export const isAside = (stat: Known, parent: Known, user: number): boolean =>
  stat.kind === "folder" &&
  ((stat.owner === user && stat.mode === withInherited(asideMode, stat)) ||
    (stat.owner === parent.owner && stat.mode === parent.mode && stat.mode !== withInherited(unfinishedMode, stat)))

/** Opens such a folder; nothing where another one has the name. */
function* openAside(calls: Calls, parent: number, name: FilePath.FilePath): Routine<Answer<number | undefined>> {
  const folder = yield* calls.open(parent, name, "list")
  if (isCode(folder)) return folder
  const [stat, around] = [yield* calls.stat(folder), yield* calls.stat(parent)]
  if (!isCode(stat) && !isCode(around) && isAside(stat, around, calls.user())) return folder
  calls.closeNow(folder)
  return isCode(stat) ? stat : isCode(around) ? around : undefined
}

/** Makes such a folder, and opens it; nothing where that can't be. */
function* makeAside(calls: Calls, parent: number, name: FilePath.FilePath): Routine<number | undefined> {
  // One that was made, and has not got its mode, has nothing in it.
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

/** Gives something its name again, or one with a number if that is taken. */
function* putBack(calls: Calls, aside: number, parent: number, name: FilePath.FilePath): Routine<void> {
  for (let number = 0; number <= NumberedName.maxNumber; number++) {
    const to = number === 0 ? name : NumberedName.make(name, number)
    const back = yield* giveBackName(calls, { folder: aside, name }, { folder: parent, name: to })
    if (!isCode(back) || back.name !== "EEXIST") return
  }
}

/** Gives all in an open folder its names again, and tells these; nothing where something is left in there. */
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

/** Gives all that was put aside beside a folder its names again, and tells like `putAllBack`. */
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

/** What was copied, and is to be removed. */
export interface ToRemove extends Moved {
  /** Whether a run before this one may have begun with that, so that others may have changed the copies since. */
  readonly isAgain: boolean
}

/** What files and links that were copied were, by their paths. */
type Editions = Map<FilePath.FilePath, string>

const editionsOf = ({ copied: { editions } }: Placement): Editions =>
  new Map(
    editions.flatMap(({ editions, names, path }) =>
      names.map((name, index) => [FilePath.join(path, name), editions[index] ?? ""] as const)
    )
  )

/** One of what was copied, and what has become of it so far. */
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

  /** What is in a folder and not among what was found there is gone. */
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

/** Something to be removed, by its path. */
interface Entry {
  readonly path: FilePath.FilePath
  readonly isFolder: boolean
  readonly source: Source
}

/** A folder that something is removed from, and the one that it is put into. */
interface Aside {
  readonly parent: number
  readonly aside: number
}

/** Whether a copy is what it was when it got its name. */
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
  /** Where the copies are, if it is to be looked at them: right after they got their names it is not. */
  private readonly copies: Folders | undefined
  private readonly mayPublish: () => boolean
  /** Whether something that was put aside could not be given its name again. */
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
   * Removes some of what is in a folder, one entry at least: these entries, or all that are of a folder. Tells how many
   * entries it has come to.
   */
  *removeIn(parent: number, from: ReadonlyArray<Entry> | Entry, mayGoOn = () => true): Routine<number> {
    const { calls } = this
    const restored = this.mayPublish() ? yield* restoreAside(calls, parent, this.aside) : undefined
    this.isStuck ||= restored === undefined
    const aside = restored === undefined ? undefined : yield* makeAside(calls, parent, this.aside)
    if (restored === undefined || aside === undefined) return Number.POSITIVE_INFINITY
    let count = 0
    try {
      // All in there has its name by now.
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

  /** What is in a folder. */
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

  /** Removes what was copied out of a folder that there is more to do in. */
  private *removeInKept(parent: number, kept: Entry): Routine<void> {
    const { path, source } = kept
    const folder = yield* this.calls.open(parent, FilePath.name(path), "list")
    if (isCode(folder)) {
      if (folder.name === "ENOENT") source.forget(path, new Set())
      // What a run before this one has put aside in there has not got its name.
      else this.isStuck ||= this.isAgain
      return
    }
    yield* this.removeIn(folder, kept)
    this.calls.closeNow(folder)
  }

  /** Removes a file or link. What a run before this one has put aside is not what it was by its time of change. */
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
    // To be renamed has changed it.
    const back = yield* calls.lstat(parent, name)
    if (!isCode(back) && isContentOf(back, edition)) left.set(path, editionOf(back))
  }

  /** Takes down that a folder is gone with all in it. */
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
      // Others may have removed it, or a run before this one.
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

/** What became of sources that were to be removed. */
export interface SourcesRemoved {
  readonly removed: ReadonlyArray<Removed>
  /** Whether one could not be given its name again. All others that are left have theirs. */
  readonly isStuck: boolean
}

/** Removes sources, as far as it comes, and goes on behind those that were dealt with before. */
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
