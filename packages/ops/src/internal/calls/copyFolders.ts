/**
 * Copies folders with all that is in them, where calls are made at once.
 *
 * A folder that is not there yet is made under a temporary name, by which nobody looks for anything, and gets its own
 * once all is in it: so what is in it is written under its name, and none of it is ever seen half.
 */
import * as Option from "effect/Option"
import * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import * as Filter from "../../Filter.ts"
import { isLost } from "../attributes.ts"
import * as Twins from "../twins.ts"
import { isBegun, isUnfinished, unfinishedMode, userUnsafe, withInherited } from "../unfinished.ts"
import { ask } from "./answered.ts"
import { copyEach } from "./copyEach.ts"
import { countOf, measure, measureOpened, mostDeep } from "./measure.ts"
import { failure } from "./opened.ts"
import { type SystemCalls, withoutAttributes } from "./systemCalls.ts"

/** Bits of a mode that are only kept with owner and group. */
const setIdBits = 0o6000

/** Bits of a mode without which its owner, who may be nobody special, can't look into a folder to empty it. */
const lookingBits = 0o500

/** A folder that has more names by now is left: all else waits while it is listed. */
const mostNames = 10_000

/** What is answered where a folder can't be told to take the place of nothing. */
const withoutExclusive = new Set(["ENOTSUP", "EOPNOTSUPP", "EINVAL", "ENOSYS"])

interface Listing {
  readonly folders: Array<FilePath.FilePath>
  readonly others: Array<FilePath.FilePath>
}

/** What is open of a source: the folder itself, and what it holds. */
interface Source extends Listing {
  readonly folder: number
  readonly stat: Files.FileStat
}

/** Where the copy of a folder comes to be. */
interface Target {
  readonly parent: number
  readonly name: FilePath.FilePath
  /** Path below the folder that the first ones are in. */
  readonly path: FilePath.FilePath
  /** Whether the parent is not seen by others. */
  readonly isOwn: boolean
}

class Run {
  private readonly calls: SystemCalls
  private readonly copier: Files.FoldersCopier
  ended = 0
  rest: Array<Files.FolderRest> = []
  fewer: Array<Files.FoldersCopied["fewer"][number]> = []
  /** How much there is in the present one of those that are named. */
  private met = 0

  constructor(calls: SystemCalls, copier: Files.FoldersCopier) {
    this.calls = calls
    this.copier = copier
  }

  private open(folder: number, name: FilePath.FilePath): number | undefined {
    const opened = ask<number>((done) => this.calls.open(folder, name, "list", done))
    return opened.code === undefined ? opened.value : undefined
  }

  private isFolder(parent: number, name: FilePath.FilePath): boolean {
    const stat = ask<Files.FileStat>((done) => this.calls.lstat(parent, name, done))
    return stat.code === undefined && stat.value.kind === "folder"
  }

  private list(folder: number): Listing | undefined {
    const listing: Listing = { folders: [], others: [] }
    const add = (text: string, kind: string): void => {
      const name = FilePath.fromLatin1(text)
      const isFolder = kind === "folder" || (kind === "unknown" && this.isFolder(folder, name))
      const into = isFolder ? listing.folders : listing.others
      into.push(name)
    }
    for (;;) {
      const more = ask<boolean>((done) => this.calls.list(folder, add, done))
      if (more.code !== undefined || listing.folders.length + listing.others.length > mostNames) return undefined
      if (!more.value) return listing
    }
  }

  /** What is in a folder, but for what is left out. */
  private without(path: FilePath.FilePath, listing: Listing): Listing {
    const { isLeftOut } = this.copier
    if (isLeftOut === Filter.none) return listing
    const { folders, others } = listing
    return {
      folders: folders.filter((name) => !isLeftOut(FilePath.join(path, name), true)),
      others: others.filter((name) => !isLeftOut(FilePath.join(path, name), false))
    }
  }

  /** What is known of a folder, if nothing is to be kept of it but mode, times and owner. */
  private ordinary(folder: number): Files.FileStat | undefined {
    const stat = ask<Files.FileStat>((done) => this.calls.stat(folder, done))
    if (stat.code !== undefined || (stat.value.mode & (setIdBits | lookingBits)) !== lookingBits) return undefined
    const names = ask<ReadonlyArray<string>>((done) => this.calls.listAttributes(folder, done))
    const isOrdinary = names.code === undefined
      ? !names.value.some(this.copier.isAttributeKept)
      : withoutAttributes.has(names.code)
    return isOrdinary ? stat.value : undefined
  }

  /** Copies one of those that are named, and tells how much less than this there is in it. */
  copyNamed(from: number, parent: number, name: FilePath.FilePath, size: number): boolean {
    this.met = 0
    const isCopied = this.copy(from, { parent, name, path: name, isOwn: false }, 1)
    if (isCopied && this.met < size) this.fewer.push({ path: name, count: size - this.met })
    return isCopied
  }

  /** Copies a folder, as far as can be. Gives `false` where there is none for it. */
  private copy(from: number, target: Target, depth: number): boolean {
    const folder = this.open(from, target.name)
    if (folder === undefined) return false
    const { met } = this
    try {
      const stat = this.ordinary(folder)
      const listed = stat === undefined ? undefined : this.list(folder)
      if (stat === undefined || listed === undefined) return false
      const listing = this.without(target.path, listed)
      // Whoever takes them one after the other knows which of them has a name.
      if (Twins.find([...listing.folders, ...listing.others]).size > 0) return false
      this.met += countOf({ folders: 1, leaves: listing.others.length })
      const isCopied = this.into(target, { ...listing, folder, stat }, depth)
      if (!isCopied) this.met = met
      return isCopied
    } finally {
      this.calls.closeFolder(folder)
    }
  }

  private into(target: Target, source: Source, depth: number): boolean {
    const { isOwn, name, parent } = target
    if (isOwn) {
      if (!this.make(parent, name, unfinishedMode)) return false
      if (this.fill(target, name, source, depth, true)) return true
      this.remove(parent, name)
      return false
    }
    const there = ask<Files.FileStat>((done) => this.calls.lstat(parent, name, done))
    if (there.code !== undefined) return there.code === "ENOENT" && this.intoNew(target, source, depth)
    if (there.value.kind !== "folder") return false
    return this.copier.hold === undefined ? this.fill(target, name, source, depth, false) : this.leave(target, source)
  }

  /** Leaves all that is in a folder: its copy is there, where others would see files that are not flushed. */
  private leave(target: Target, { folder, folders, others }: Source): boolean {
    this.rest.push({ path: target.path, names: others, folders, sizes: this.sizesOf(folder, target, folders) })
    return true
  }

  /** Fills a folder under a temporary name, and gives it its own if it is not held, or leaves nothing of it. */
  private intoNew(target: Target, source: Source, depth: number): boolean {
    const { name, parent, path } = target
    // It would have the temporary name for good.
    if (this.isAppendOnly(parent)) return false
    const { copier, copier: { hold }, ended, rest: { length } } = this
    const temporary = copier.temporaryName(path)
    // An attempt before this one may have left it.
    const make = () => this.make(parent, temporary, unfinishedMode)
    const isMade = make() || (this.removeUnfinished(parent, temporary) && make())
    if (!isMade) return false
    const undo = copier.mark()
    const publish = (): boolean => hold !== undefined || (copier.mayPublish() && this.publish(parent, temporary, name))
    const isFilled = this.fill(target, temporary, source, depth, true, publish)
    if (isFilled && hold === undefined) return true
    const below = { ended: this.ended - ended, rest: this.rest.splice(length) }
    this.ended = ended
    if (isFilled && hold !== undefined) {
      const isWhole = below.rest.every((rest) => rest.path !== path)
      hold({ name, temporary, source: isWhole ? source.stat : undefined, below })
      return true
    }
    undo()
    this.removeUnfinished(parent, temporary)
    return false
  }

  /** Gives a folder that is held its name, and mode and times if all is in it; or removes it. */
  place(parent: number, { name, source, temporary }: Files.HeldFolder): Files.PlacedFolders[number] {
    const folder = this.open(parent, temporary)
    const stat = folder === undefined ? undefined : ask<Files.FileStat>((done) => this.calls.stat(folder, done))
    const isOurs = stat?.code === undefined && stat !== undefined && isUnfinished(stat.value, userUnsafe())
    const isPlaced = isOurs && this.copier.mayPublish() && this.publish(parent, temporary, name)
    const isEnded = isPlaced && folder !== undefined && source !== undefined && this.end(folder, source)
    if (folder !== undefined) this.calls.closeFolder(folder)
    if (!isPlaced) this.removeUnfinished(parent, temporary)
    return isEnded ? "ended" : isPlaced ? "placed" : "removed"
  }

  private unlink(folder: number, name: FilePath.FilePath): boolean {
    return ask<void>((done) => this.calls.unlink(folder, name, done)).code === undefined
  }

  private isAppendOnly(folder: number): boolean {
    const { isAppendOnly } = this.calls
    if (isAppendOnly === undefined) return false
    const only = ask<boolean>((done) => isAppendOnly(folder, done))
    return only.code === undefined && only.value
  }

  private make(parent: number, name: FilePath.FilePath, mode: number): boolean {
    return ask<void>((done) => this.calls.makeFolder(parent, name, mode, done)).code === undefined
  }

  private publish(parent: number, from: FilePath.FilePath, to: FilePath.FilePath): boolean {
    const { code } = ask<void>((done) => this.calls.renameExclusively(parent, from, parent, to, done))
    // The usual call puts a folder in the place of nothing either but one that is empty.
    if (code === undefined || !withoutExclusive.has(code)) return code === undefined
    return ask<void>((done) => this.calls.rename(parent, from, parent, to, done)).code === undefined
  }

  private setMode(folder: number, mode: number): boolean {
    return ask<void>((done) => this.calls.setMode(folder, mode, done)).code === undefined
  }

  private setTimes(folder: number, times: Files.FileTimes): boolean {
    return ask<void>((done) => this.calls.setTimes(folder, times, done)).code === undefined
  }

  /** Removes a folder with all that is in it, which is in one that is not whole. */
  private remove(parent: number, name: FilePath.FilePath): boolean {
    // It may have the mode of its source by now, which may let nobody take anything out of it.
    return this.removeIf(parent, name, (folder) => this.setMode(folder, 0o700))
  }

  /** Removes a folder that is not whole. Anything else that has its name by now is only removed if it is empty. */
  private removeUnfinished(parent: number, name: FilePath.FilePath): boolean {
    return this.removeIf(parent, name, (folder) => {
      const stat = ask<Files.FileStat>((done) => this.calls.stat(folder, done))
      return stat.code === undefined && isUnfinished(stat.value, userUnsafe())
    })
  }

  private removeIf(parent: number, name: FilePath.FilePath, mayEmpty: (folder: number) => boolean): boolean {
    const folder = this.open(parent, name)
    if (folder === undefined) return false
    const { folders, others } = (mayEmpty(folder) ? this.list(folder) : undefined) ?? { folders: [], others: [] }
    for (const other of others) this.unlink(folder, other)
    for (const one of folders) this.remove(folder, one)
    this.calls.closeFolder(folder)
    return ask<void>((done) => this.calls.removeFolder(parent, name, done)).code === undefined
  }

  /** Removes what former attempts have left in a folder. */
  private sweep(folder: number): boolean {
    const { isLeftover, mayPublish } = this.copier
    if (isLeftover === undefined) return true
    const listing = this.list(folder)
    return listing !== undefined && mayPublish() &&
      listing.folders.filter(isLeftover).every((name) => this.removeUnfinished(folder, name)) &&
      listing.others.filter(isLeftover).every((name) => this.unlink(folder, name))
  }

  /**
   * Copies what is in a folder into one that is there by this name, and ends it if that is all. One that is not seen by
   * others before is published then: it is known by its mode that it was not whole.
   */
  private fill(
    target: Target,
    name: FilePath.FilePath,
    source: Source,
    depth: number,
    isOwn: boolean,
    publish?: () => boolean
  ): boolean {
    const to = this.open(target.parent, name)
    if (to === undefined) return false
    try {
      if (publish !== undefined && !this.begin(to)) return false
      const isSwept = isOwn || this.sweep(to)
      const names = this.copyFiles(to, target.path, source, isOwn)
      const folders = source.folders.filter((name) => {
        const below = { parent: to, name, path: FilePath.join(target.path, name), isOwn }
        return depth === mostDeep || !this.copier.mayGoOn() || !this.copy(source.folder, below, depth + 1)
      })
      if ((isOwn && this.copier.isSpoiled) || publish?.() === false) return false
      // What there is more to do in those below changes nothing in this one.
      const isDone = isSwept && names.length === 0 && folders.length === 0
      // Whoever owns the job no more changes nothing that others see.
      const isHeld = publish !== undefined && this.copier.hold !== undefined
      const isEnded = isDone && (isHeld || ((isOwn || this.copier.mayPublish()) && this.end(to, source.stat)))
      if (isEnded && !isHeld) this.ended++
      if (!isEnded) {
        this.rest.push({ path: target.path, names, folders, sizes: this.sizesOf(source.folder, target, folders) })
      }
      return true
    } finally {
      this.calls.closeFolder(to)
    }
  }

  /** Looks how much there is in folders that are left. What can't be seen may be as much as there was. */
  private sizesOf(
    folder: number,
    { path }: Target,
    names: ReadonlyArray<FilePath.FilePath>
  ): ReadonlyArray<number> {
    const { calls, copier } = this
    return names.map((name) => {
      const size = measureOpened(calls, (done) => calls.open(folder, name, "list", done), {
        most: mostNames,
        isLeftOut: Filter.within(copier.isLeftOut, FilePath.join(path, name))
      })
      const count = Option.match(size, { onNone: () => 0, onSome: countOf })
      this.met += count === 0 ? Number.POSITIVE_INFINITY : count
      return count
    })
  }

  private copyFiles(
    to: number,
    path: FilePath.FilePath,
    { folder, others }: Source,
    isOwn: boolean
  ): ReadonlyArray<FilePath.FilePath> {
    const { copier, rest } = this.copier.files(others, isOwn)
    copyEach({
      calls: this.calls,
      from: folder,
      to,
      names: others,
      refuse: () => undefined,
      copier,
      fail: (name, call, code) => copier.fail(failure(call, FilePath.join(path, name), code)),
      done: () => {}
    })
    return rest()
  }

  /** Sees to it that a folder that was made is known by its mode. */
  private begin(folder: number): boolean {
    const made = ask<Files.FileStat>((done) => this.calls.stat(folder, done))
    // Where others may rename what is there, it may be theirs by now.
    if (made.code !== undefined || !isBegun(made.value, userUnsafe())) return false
    const mode = withInherited(unfinishedMode, made.value)
    return made.value.mode === mode || this.setMode(folder, mode)
  }

  /** Gives a folder its owner, or at least its group, and tells whether it has it, or has lost it. */
  private setOwner(
    folder: number,
    there: Files.FileStat,
    { group, owner }: Files.FileStat
  ): "kept" | "lost" | undefined {
    if (!this.copier.keepsOwner || (there.owner === owner && there.group === group)) return "kept"
    const set = ask<void>((done) => this.calls.setOwner(folder, owner, group, done))
    if (set.code === undefined) return "kept"
    if (!isLost(set.code)) return undefined
    ask<void>((done) => this.calls.setOwner(folder, there.owner, group, done))
    return "lost"
  }

  /** Gives a folder the mode and times of its source, and owner and group where these are kept, if it has others. */
  private end(folder: number, source: Files.FileStat): boolean {
    const there = ask<Files.FileStat>((done) => this.calls.stat(folder, done))
    const owner = there.code === undefined ? this.setOwner(folder, there.value, source) : undefined
    if (there.code !== undefined || owner === undefined) return false
    const { accessedNanos, mode, modifiedNanos } = source
    const hasMode = there.value.mode === mode || this.setMode(folder, mode)
    const times = { accessedNanos, modifiedNanos }
    const hasTimes = there.value.modifiedNanos === modifiedNanos && there.value.accessedNanos === accessedNanos
    const isEnded = hasMode && (hasTimes || this.setTimes(folder, times))
    if (isEnded && owner === "lost") this.copier.ownerLost()
    return isEnded
  }
}

const copyFolders = (
  calls: SystemCalls,
  { copier, names, sizes, source, target }: Files.FoldersRequest
): Files.FoldersCopied => {
  const run = new Run(calls, copier)
  const [from, to] = [source, target].map((path) => ask<number>((done) => calls.openPath(path, "folder", done)))
  let left = 0
  const untouched = names.filter((name, index) => {
    if (left === 0 && !copier.mayGoOn()) left = names.length - index
    if (left > 0) return false
    return from?.code !== undefined || to?.code !== undefined || from === undefined || to === undefined ||
      !run.copyNamed(from.value, to.value, name, sizes[index] ?? 0)
  })
  for (const opened of [from, to]) {
    if (opened?.code === undefined && opened !== undefined) calls.closeFolder(opened.value)
  }
  return { ended: run.ended, rest: run.rest, untouched, left, fewer: run.fewer }
}

const placeFolders = (
  calls: SystemCalls,
  { copier, held, target }: Files.PlaceFoldersRequest
): Files.PlacedFolders | undefined => {
  const folder = ask<number>((done) => calls.openPath(target, "folder", done))
  if (folder.code !== undefined) return undefined
  const run = new Run(calls, copier)
  const placed = held.map((one) => run.place(folder.value, one))
  calls.closeFolder(folder.value)
  return placed
}

/** Calls that are answered before they return, with those for whole folders. */
export const withFolders = (calls: SystemCalls): SystemCalls => ({
  ...calls,
  copyFolders: (request, done) => done(undefined, copyFolders(calls, request)),
  placeFolders: (request, done) => done(undefined, placeFolders(calls, request)),
  measure: (path, measuring, done) => done(undefined, measure(calls, path, measuring))
})
