/**
 * Fills the draft of a unit: walks the names, decides about each, and copies ordinary files, links and folders. All
 * other entries become the rest of the unit, which single copies deal with.
 */
import { type Answer, type Calls, isCode } from "../../Calls.ts"
import type { Property } from "../../CopyOptions.ts"
import * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import * as Filter from "../../Filter.ts"
import { maxSizeBytes } from "../entry/wholeCopy.ts"
import { countOf, mostDeep, sizesOf } from "../files/folderSize.ts"
import { type Followed, followedName } from "../files/followedName.ts"
import { isName } from "../files/openHandle.ts"
import type { Routine } from "../files/routine.ts"
import { removeOwn } from "../files/treeRemoval.ts"
import * as Hasher from "../hash/hasher.ts"
import * as CollidingNames from "../path/collidingNames.ts"
import { isUnfinished } from "../path/unfinishedFolder.ts"
import { leftOut } from "../steps/folderFilter.ts"
import { editionOf, linkedAs } from "../steps/sourceEdition.ts"
import { type Ending, type Filled, type Placement, type Rest, restOf, type Unit, untouched } from "../steps/unit.ts"
import { decide, isAvoided } from "./decision.ts"
import { FileCopy } from "./fileCopy.ts"
import { endFolder, endingOf, ordinaryFolder } from "./folderEnd.ts"
import { mostNames, type Names, namesIn } from "./folderNames.ts"
import { isLike } from "./inheritance.ts"
import { Draft, type Leftovers, makeOwn, removeLeftovers } from "./ownFolder.ts"
import type { Limits as PlacementLimits } from "./placement.ts"
import { Bucket } from "./placementResult.ts"

/** Mode bits that a folder in the draft needs so that its owner can write in it. */
const modeInDraft = 0o700

/** Tells how long a unit may go on, also with a folder that it has begun. */
export interface Limits extends PlacementLimits, Leftovers {
  /** Whether one more folder may be begun. */
  readonly mayBegin: () => boolean
}

/** A source file or link. */
interface MetFile extends Followed {
  readonly from: number
  readonly name: FilePath.FilePath
}

/** An open source folder, and its entries. */
interface Source extends Names {
  readonly folder: number
  readonly stat: Files.FileStat
}

/** A source folder, its name in its parent, and its path below the source of the unit. */
interface FolderToCopy {
  readonly name: FilePath.FilePath
  readonly path: FilePath.FilePath
  readonly source: Source
  /** How many folders deep it is, itself included. */
  readonly depth: number
}

/** A folder that copies are made in. */
interface Target {
  readonly folder: number
  /** Its path below the target. */
  readonly path: FilePath.FilePath
  /** The results of a folder in the draft; `undefined` for an existing folder, whose entries are placed one by one. */
  readonly own: Bucket | undefined
  /** Mode bits that it has as long as it is in the draft: a folder can be moved only by who may write in it. */
  readonly modeInDraft?: number
}

class Filling {
  private readonly calls: Calls
  private readonly unit: Unit
  private readonly limits: Limits
  private readonly target: number
  private readonly keeps: ReadonlySet<Property>
  private readonly isLeftOut: Filter.Filter
  private readonly files: FileCopy
  private readonly hasher: Hasher.Hasher | undefined
  private readonly draft: Draft
  private readonly placements: Array<Placement> = []
  private readonly endings: Array<Ending> = []
  /** Results in folders that existed before. */
  private readonly there = new Bucket()
  private unchanged = 0
  private readonly rest: Array<Rest> = []
  private readonly skipped: Array<FilePath.FilePath> = []
  private readonly fewer: Array<Filled["fewer"][number]> = []
  private left = 0
  /** How many entries the present name has had so far. */
  private met = 0
  private bytes = 0
  /** Whether a partial copy could not be removed. */
  private isSpoiled = false

  constructor(calls: Calls, unit: Unit, target: number, limits: Limits) {
    const { below, checksums, keeps, rules } = unit
    this.calls = calls
    this.unit = unit
    this.target = target
    this.limits = limits
    this.keeps = new Set(keeps)
    this.isLeftOut = leftOut(rules, below)
    this.draft = new Draft(calls, target, unit.draft)
    const hasher = checksums === undefined ? undefined : Hasher.make(checksums)
    this.hasher = hasher
    this.files = new FileCopy(calls, {
      keeps: this.keeps,
      isMove: unit.isMove,
      mayGoOn: limits.mayGoOn,
      take: hasher === undefined ? undefined : (bytes) => hasher.update(bytes)
    })
  }

  close(): void {
    this.files.close()
    this.draft.close()
  }

  get filled(): Filled {
    const { endings, fewer, left, placements, rest, skipped, there, unchanged } = this
    const { counts: { ended, lost = {} }, digests } = there.copied
    return { placements, endings, ended, lost, unchanged, unchangedDigests: digests, rest, skipped, left, fewer }
  }

  private mayGoOn(): boolean {
    return this.bytes < this.unit.mostBytes && this.limits.mayGoOn()
  }

  private mayBegin(): boolean {
    return this.bytes < this.unit.mostBytes && this.limits.mayBegin()
  }

  /** Copies files and links into the existing target. */
  *fillNames(source: number): Routine<void> {
    const { names } = this.unit
    const target = { folder: this.target, path: FilePath.empty, own: undefined }
    const alone: Array<FilePath.FilePath> = []
    for (const [index, name] of names.entries()) {
      const isBegun = index === 0 || this.mayGoOn()
      if (isBegun && (yield* this.fillName(source, name, target, alone))) continue
      // The first name has used all the time of a unit: a single copy has no such limit.
      if (index === 0) alone.push(name)
      this.left = names.length - Math.max(index, 1)
      break
    }
    if (alone.length > 0) this.rest.push(restOf(FilePath.empty, alone))
  }

  /** Copies folders with everything in them. */
  *fillFolders(source: number): Routine<void> {
    const { names, sizes } = this.unit
    const target = { folder: this.target, path: FilePath.empty, own: undefined }
    const untouched: Array<FilePath.FilePath> = []
    for (const [index, name] of names.entries()) {
      if (index > 0 && !this.mayBegin()) {
        this.left = names.length - index
        break
      }
      this.met = 0
      const isCopied = yield* this.copyFolder(source, name, target, 1)
      const size = sizes[index] ?? 0
      if (!isCopied) untouched.push(name)
      else if (this.met < size) this.fewer.push({ path: name, count: size - this.met })
    }
    if (untouched.length > 0) this.rest.push(restOf(FilePath.empty, [], untouched))
  }

  private place(
    { path }: Target,
    name: FilePath.FilePath,
    as: FilePath.FilePath,
    more: { readonly bucket: Bucket; readonly isFolder: boolean; readonly replaces: boolean; readonly mode?: number }
  ): void {
    const { bucket: { copied }, ...rest } = more
    this.placements.push({ as, path, name, copied, ...rest })
  }

  /** The next name in the draft. */
  private get nextName(): FilePath.FilePath {
    return FilePath.make(String(this.placements.length))
  }

  // --- Files and links ----------------------------------------------------------------------------------------------

  /** Deals with a file or link. `false` says that the unit was stopped, and has not begun this name. */
  private *fillName(
    from: number,
    name: FilePath.FilePath,
    target: Target,
    alone: Array<FilePath.FilePath>
  ): Routine<boolean> {
    const { path } = target
    const found = yield* this.look(from, name)
    if (isCode(found) || !this.isOrdinary(found.stat)) {
      alone.push(name)
      return true
    }
    const { stat } = found
    const decision = target.own !== undefined || this.isFree(target)
      ? "Create"
      : yield* decide(this.calls, this.unit, { from, name, stat, to: target.folder })
    if (decision === "Unchanged") yield* this.leaveUnchanged(name, stat, target, alone)
    else if (decision === "Skip") this.skipped.push(FilePath.join(path, name))
    else if (decision === undefined) alone.push(name)
    else return yield* this.copyFile({ from, name, ...found }, target, decision === "Replace", alone)
    return true
  }

  /** Leaves an unchanged file alone, and reads it where its checksum is reported. */
  private *leaveUnchanged(
    name: FilePath.FilePath,
    { kind }: Files.FileStat,
    { folder, path }: Target,
    alone: Array<FilePath.FilePath>
  ): Routine<void> {
    const isTold = this.unit.checksums !== undefined && kind === "file"
    const isRead = !isTold || (yield* this.files.read(folder, name))
    const digest = isTold ? this.hasher?.digest() : undefined
    if (!isRead) return void alone.push(name)
    this.unchanged++
    if (digest !== undefined) this.there.digests.push({ path, name, digest })
  }

  /** Looks at a name, or at the target of its link if links are followed. */
  private *look(from: number, name: FilePath.FilePath): Routine<Answer<Followed>> {
    if (this.unit.isFollowing) return yield* followedName(this.calls, from, name)
    const stat = yield* this.calls.lstat(from, name)
    return isCode(stat) ? stat : { leadsTo: name, stat }
  }

  private isOrdinary(stat: Files.FileStat): boolean {
    const { keeps, unit: { isFollowing } } = this
    const { kind, links, sizeBytes } = stat
    // The target of a followed link may be a file of the job itself.
    return !isAvoided(this.unit, stat) &&
      (kind === "link" ? !isFollowing : kind === "file" && sizeBytes <= maxSizeBytes &&
        !(keeps.has("links") && links > 1))
  }

  /** Whether the job itself has made a folder, so that no name is taken in it. */
  private isFree({ path }: Target): boolean {
    return this.unit.isFree && path === ""
  }

  private *copyFile(
    file: MetFile,
    target: Target,
    replaces: boolean,
    alone: Array<FilePath.FilePath>
  ): Routine<boolean> {
    const { from, leadsTo, name, stat } = file
    const { folder, own, path } = target
    const to = own === undefined ? yield* this.draft.open() : folder
    const as = own === undefined ? this.nextName : name
    const copied = to === undefined ? "left" : yield* this.files.copy({ from, name: leadsTo, stat, to, as })
    const digest = this.hasher?.digest()
    this.isSpoiled ||= copied === "spoiled"
    if (copied === "stopped") return false
    if (copied !== "copied") {
      alone.push(name)
      return true
    }
    const bucket = own ?? new Bucket()
    this.count(bucket, path, file, digest)
    if (own === undefined) this.place(target, name, as, { bucket, isFolder: false, replaces })
    return true
  }

  private count(
    bucket: Bucket,
    path: FilePath.FilePath,
    { name, stat }: MetFile,
    digest: string | undefined
  ): void {
    const { counts, digests, editions } = bucket
    bucket.lose(this.files.lost)
    if (stat.kind === "link") counts.linked++
    else {
      counts.copied++
      counts.bytes += stat.sizeBytes
      this.bytes += stat.sizeBytes
      if (digest !== undefined) digests.push({ path, name, digest })
    }
    if (this.unit.isMove) {
      editions.push({ path, name, edition: editionOf(stat), linkedAs: linkedAs(stat, { isMove: true }) })
    }
  }

  // --- Folders ------------------------------------------------------------------------------------------------------

  private *open(folder: number, name: FilePath.FilePath): Routine<number | undefined> {
    const opened = yield* this.calls.open(folder, name, "list")
    return isCode(opened) ? undefined : opened
  }

  /** Copies a folder with its entries. `false` says that nothing was made of it. */
  private *copyFolder(from: number, name: FilePath.FilePath, parent: Target, depth: number): Routine<boolean> {
    const folder = yield* this.open(from, name)
    if (folder === undefined) return false
    const { met } = this
    try {
      const path = FilePath.join(parent.path, name)
      const stat = yield* ordinaryFolder(this.calls, folder, this.keeps)
      const listed = stat === undefined ? undefined : yield* namesIn(this.calls, folder)
      if (stat === undefined || listed === undefined) return false
      const names = this.without(path, listed)
      // Names that a file system may take for one are copied one after the other, by single copies.
      if (CollidingNames.find(() => [...names.folders, ...names.others]).size > 0) return false
      this.met += countOf({ folders: 1, leaves: names.others.length })
      const isCopied = yield* this.copyInto({ name, path, source: { ...names, folder, stat }, depth }, parent)
      if (!isCopied) this.met = met
      return isCopied
    } finally {
      this.calls.closeNow(folder)
    }
  }

  /** Entries of a folder without those that are left out. */
  private without(path: FilePath.FilePath, names: Names): Names {
    const { isLeftOut, limits: { isLeftover }, unit: { isMove } } = this
    // A folder in which an earlier run has put sources aside is no source.
    const isOwn = isMove && isLeftover !== undefined ? isLeftover : () => false
    if (isLeftOut === Filter.none && !isMove) return names
    return {
      folders: names.folders.filter((name) => !isOwn(name) && !isLeftOut(FilePath.join(path, name), true)),
      others: names.others.filter((name) => !isOwn(name) && !isLeftOut(FilePath.join(path, name), false))
    }
  }

  private *copyInto(inner: FolderToCopy, parent: Target): Routine<boolean> {
    const { name, path } = inner
    const { own } = parent
    if (own !== undefined) return yield* this.makeAndFill(inner, parent.folder, name, { path, own })
    if (this.isFree(parent)) return yield* this.fillDraft(inner, parent)
    const there = yield* this.calls.lstat(parent.folder, name)
    if (isCode(there)) return there.name === "ENOENT" && (yield* this.fillDraft(inner, parent))
    // A folder that an earlier run has made has its final mode only if modes are kept.
    const isOrdinary = there.kind === "folder" && (this.keeps.has("mode") || !isUnfinished(there, this.calls.user()))
    // Removals from a source folder change its times, and a later element may still need them.
    return isOrdinary && !this.unit.isMove && (yield* this.fillThere(inner, parent))
  }

  /** Mode of a copy: that of the source, or, where modes are not kept, the permissions of a new file. */
  private modeOf({ mode }: Files.FileStat): number {
    return this.keeps.has("mode") ? mode : mode & 0o777 & ~this.calls.denied()
  }

  /** Fills a folder in the draft, and notes its placement. */
  private *fillDraft(inner: FolderToCopy, parent: Target): Routine<boolean> {
    const { name, path, source } = inner
    const mode = this.modeOf(source.stat)
    // A mode that is set later would hide bits that the folder has inherited.
    const isLater = (mode & modeInDraft) !== modeInDraft
    const draft = isLater && !this.keeps.has("mode") ? undefined : yield* this.draft.open()
    if (draft === undefined) return false
    const [as, bucket, wasSpoiled] = [this.nextName, new Bucket(), this.isSpoiled]
    this.isSpoiled = false
    const target = { path, own: bucket, modeInDraft }
    const isFilled = yield* this.makeAndFill(inner, draft, as, target)
    this.isSpoiled = wasSpoiled
    if (!isFilled) return false
    const isEnded = bucket.rest.every((rest) => rest.path !== path)
    const later = isEnded && isLater ? { mode } : {}
    this.place(parent, name, as, { bucket, isFolder: true, replaces: false, ...later })
    return true
  }

  private *makeAndFill(
    inner: FolderToCopy,
    parent: number,
    name: FilePath.FilePath,
    target: Omit<Target, "folder">
  ): Routine<boolean> {
    const { calls } = this
    const folder = yield* makeOwn(calls, parent, name)
    if (folder === undefined) return false
    const isFilled = yield* this.fillIn(inner, { ...target, folder })
    calls.closeNow(folder)
    if (!isFilled) yield* removeOwn(calls, parent, name, () => true)
    return isFilled
  }

  /** Fills an existing folder. */
  private *fillThere(inner: FolderToCopy, parent: Target): Routine<boolean> {
    const folder = yield* this.open(parent.folder, inner.name)
    if (folder === undefined) return false
    const isFilled = (yield* isLike(this.calls, folder, this.target)) &&
      (yield* this.fillIn(inner, { folder, path: inner.path, own: undefined }))
    this.calls.closeNow(folder)
    return isFilled
  }

  /** Copies the entries of a folder, and gives it its mode and times if nothing more comes into it. */
  private *fillIn({ depth, source }: FolderToCopy, target: Target): Routine<boolean> {
    const { own, path } = target
    const isSwept = own !== undefined || (yield* removeLeftovers(this.calls, target.folder, this.limits))
    const { length } = this.placements
    const { length: restLength } = own?.rest ?? []
    const names = yield* this.fillFiles(source, target)
    const folders: Array<FilePath.FilePath> = []
    for (const name of source.folders) {
      const isBegun = depth < mostDeep && this.mayBegin()
      if (!isBegun || !(yield* this.copyFolder(source.folder, name, target, depth + 1))) folders.push(name)
    }
    if (own !== undefined && this.isSpoiled) return false
    // A moved folder is ended after all folders in it are gone.
    const isWhole = !this.unit.isMove || own?.rest.length === restLength
    const isDone = isSwept && isWhole && names.length === 0 && folders.length === 0
    const isAwaited = own === undefined && this.placements.slice(length).some((one) => one.path === path)
    if (isDone && isAwaited) this.endings.push(endingOf(path, source.stat))
    else if (isDone && (yield* this.end(target, source.stat))) (own ?? this.there).counts.ended++
    else {
      const isLeftOut = Filter.within(this.isLeftOut, path)
      const isFollowing = this.unit.isFollowing
      const sizes = yield* sizesOf(this.calls, source.folder, folders, { most: mostNames, isLeftOut, isFollowing })
      // A folder that can't be measured may have as many entries as the walk has counted.
      for (const size of sizes) this.met += size === 0 ? Number.POSITIVE_INFINITY : size
      const rests = own?.rest ?? this.rest
      rests.push({ path, names, folders, sizes })
    }
    return true
  }

  private *fillFiles({ folder, others }: Source, target: Target): Routine<ReadonlyArray<FilePath.FilePath>> {
    const alone: Array<FilePath.FilePath> = []
    for (const [index, name] of others.entries()) {
      if (!this.mayGoOn() || !(yield* this.fillName(folder, name, target, alone))) {
        return [...alone, ...others.slice(index)]
      }
    }
    return alone
  }

  private *end({ folder, modeInDraft = 0, own }: Target, stat: Files.FileStat): Routine<boolean> {
    if (own === undefined && !this.limits.mayPublish()) return false
    const isOwn = own !== undefined || this.keeps.has("mode")
    const ending = { ...endingOf(FilePath.empty, stat), mode: isOwn ? this.modeOf(stat) | modeInDraft : undefined }
    const lost = yield* endFolder(this.calls, folder, ending, this.keeps)
    const bucket = own ?? this.there
    bucket.lose(lost ?? [])
    return lost !== undefined
  }
}

/** Fills the draft of a unit. */
export function* fill(calls: Calls, unit: Unit, limits: Limits): Routine<Filled> {
  const source = yield* calls.openPath(unit.source, "folder")
  const target = yield* calls.openPath(unit.target, "folder")
  const close = () => {
    for (const folder of [source, target]) if (!isCode(folder)) calls.closeNow(folder)
  }
  if (isCode(source) || isCode(target) || !unit.names.every(isName)) {
    close()
    return untouched(unit)
  }
  const filling = new Filling(calls, unit, target, limits)
  try {
    if (unit.areFolders) yield* filling.fillFolders(source)
    else yield* filling.fillNames(source)
    return filling.filled
  } finally {
    filling.close()
    close()
  }
}
