/**
 * Decides about the copies of files of one folder: copies what is ordinary, and leaves the rest.
 */
import * as Progress from "@fanout/core/Progress"
import type * as Task from "@fanout/core/Task"
import * as Effect from "effect/Effect"
import * as Conflict from "../Conflict.ts"
import type { CopyOptions, Property } from "../CopyOptions.ts"
import { lostUnits } from "../CopyStrategy.ts"
import type { CopiedFiles, CopyFiles } from "../CopyTask.ts"
import * as FilePath from "../FilePath.ts"
import * as Files from "../Files.ts"
import type { FilesError } from "../FilesError.ts"
import * as WholeCopy from "../WholeCopy.ts"
import { isAlike } from "./alike.ts"
import { isKept } from "./attributes.ts"
import * as HeldFiles from "./heldFiles.ts"
import * as HardLinks from "./linkedCopies.ts"
import * as Moving from "./moving.ts"
import * as SavedCopy from "./savedCopy.ts"
import { type Digests, makeTaker, type Taker } from "./taking.ts"
import { isUnsupported } from "./unnamedFiles.ts"

/** What is copied, and how: what the task is given, but whose names these are. */
interface Copied {
  readonly payload: Omit<Task.Payload<typeof CopyFiles>, "names">
  readonly names: ReadonlyArray<FilePath.FilePath>
  readonly options: CopyOptions
  /** How many copies without a name may be open. */
  readonly limit: number
  /** Whether the job may go on here. */
  readonly mayWork: () => boolean
  /** Whether they are copied into a folder of this copy's own. */
  readonly isOwn: boolean
  /** Name of a copy until it takes the place of what has its own; nothing where what is there is left, or looked at. */
  readonly temporaryName?: (name: FilePath.FilePath) => FilePath.FilePath
}

/** Counts copies that could not be given the owner of their sources. */
export const countOwnersLost = (count: number): Effect.Effect<void> =>
  count === 0 ? Effect.void : Progress.add(lostUnits.owner, count)

const bufferBytes = 2 ** 18

/** Buffers that are not in use: to make one takes longer than to fill it with a small file. */
const spare: Array<Uint8Array> = []

const setIdBits = 0o6000

const replaced = Conflict.Decision.cases.Replace.make({})
const created = Conflict.Decision.cases.Create.make({})

/** A copy that is to be placed together with others. */
export interface Held {
  /** It has no name yet; nothing of a link, which has its name already. */
  readonly file: Files.UnnamedFile | undefined
  readonly sizeBytes: number
  /** The name that it is to have, and its place among the others. */
  readonly name: FilePath.FilePath
  readonly index: number
  readonly digests: Digests | undefined
  /** What the source was. */
  readonly edition: string
  /** By which other names of the source know it. */
  readonly linkedAs: string
  readonly isOwnerLost: boolean
}

/** What has become of one of the names. */
type End =
  | { readonly _tag: "Copied"; readonly digest: string | null }
  | { readonly _tag: "Linked" | "Unchanged" | "Skipped" }
  | { readonly _tag: "Alone"; readonly saved?: SavedCopy.Saved }

const copied: End = { _tag: "Copied", digest: null }
const linked: End = { _tag: "Linked" }
const unchanged: End = { _tag: "Unchanged" }
const skipped: End = { _tag: "Skipped" }
const alone: End = { _tag: "Alone" }

const copiedAs = (digests: Digests | undefined): End =>
  digests?.checksum === undefined ? copied : { _tag: "Copied", digest: digests.checksum }

/** Copies what is ordinary, and leaves the rest. It has a buffer until it is given back. */
export class Copying implements Files.Copier {
  bytes = 0
  /** How many copies could not be given the owner of their sources. */
  ownersLost = 0
  private isOwnerLost = false
  /** Of those that were dealt with. What is held is copied alone as long as it is not placed. */
  private readonly ends: Array<End> = []
  readonly buffer = spare.pop() ?? Buffer.allocUnsafeSlow(bufferBytes)
  readonly hold: Files.Copier["hold"]
  readonly take: Files.Copier["take"]
  private readonly taker: Taker | undefined
  readonly keepsOwner: boolean
  readonly keepsHoles: boolean
  readonly isAttributeKept: (name: string) => boolean
  readonly isOwn: boolean
  private readonly payload: Copied["payload"]
  readonly names: ReadonlyArray<FilePath.FilePath>
  private readonly options: CopyOptions
  private readonly keeps: ReadonlySet<Property>
  /** Whether the job may go on here. */
  readonly mayWork: () => boolean
  private readonly limit: number
  private readonly temporaryName: Copied["temporaryName"]
  private source: Files.FileStat | undefined
  /** Whether no more files can be held open. */
  private isFull = false
  /** Whether no file can be copied like that here. */
  private isHopeless = false
  /** Copies that are to be placed. */
  readonly held: Array<Held> = []
  /** Whether it has to be kept that they get names before they get them. */
  readonly isKeptFirst: boolean
  /** Whether a part of a copy could not be removed. */
  isSpoiled = false

  constructor(
    { isOwn, limit, mayWork, names, options, payload, temporaryName }: Copied
  ) {
    const { isDurable, isVerified } = options
    this.options = options
    this.temporaryName = temporaryName
    this.payload = payload
    this.names = names
    this.isOwn = isOwn
    this.limit = limit
    this.isKeptFirst = SavedCopy.isKeptFirst(payload.conflict, options)
    if (isDurable || isVerified || this.isKeptFirst) this.hold = (file, sizeBytes) => this.holdOne(file, sizeBytes)
    this.taker = makeTaker({ isVerified, checksums: payload.checksums })
    this.take = this.taker?.take
    this.keeps = new Set(payload.keeps)
    this.keepsOwner = this.keeps.has("owner")
    this.keepsHoles = this.keeps.has("sparse")
    this.isAttributeKept = (name) => isKept(name, this.keeps)
    this.mayWork = mayWork
  }

  get isMove(): boolean {
    return this.options.isMove
  }

  /** Whether the names of a file stay names of one, although some are moved before others. */
  get joinsNames(): boolean {
    return this.isMove && this.keeps.has("links")
  }

  /** The one that is dealt with. */
  private get name(): FilePath.FilePath {
    return this.names[this.ends.length] ?? FilePath.empty
  }

  /** Whether a link that a kill has left with its name and without its time is replaced by whoever goes on. */
  private get mendsLinks(): boolean {
    return this.isOwn || this.payload.conflict !== "skip"
  }

  get isFree(): boolean {
    return this.payload.isFree
  }

  readonly mayGoOn = (): boolean =>
    !this.isFull && this.held.length < this.limit &&
    this.bytes < this.payload.mostBytes && !this.isHopeless && this.mayWork()

  begin(stat: Files.FileStat): boolean {
    const { kind, links, mode, sizeBytes } = stat
    const isSmall = kind === "file" && sizeBytes <= WholeCopy.maxSizeBytes && (mode & setIdBits) === 0 &&
      !(this.keeps.has("links") && links > 1)
    // A link has its name at once. What it leads to may be anywhere.
    const isPlainLink = kind === "link" && !this.isKeptFirst && this.mendsLinks && !this.options.isFollowing
    const isOrdinary = (isSmall || isPlainLink) && !this.isAvoided(stat)
    this.source = stat
    this.isOwnerLost = false
    // It may have been given part of one that was left.
    if (isOrdinary) this.taker?.end()
    if (!isOrdinary) this.leave()
    return isOrdinary
  }

  /** What is to be done where this has the name of the copy; nothing where more has to be known of both. */
  private decide(there: Files.FileStat): Conflict.Decision["_tag"] | undefined {
    const { payload: { checksums, conflict, isAgain }, source } = this
    // To tell what it holds it has to be read.
    if (source === undefined || checksums !== undefined) return undefined
    if (conflict === "changed" && Conflict.isSameFile(source, there)) return "Unchanged"
    const isHeld = this.hold !== undefined
    // Links are left either way here: where they lead is not read.
    if (conflict === "skip" && isAgain && !isHeld && isAlike(source, there)) return "Unchanged"
    if ((this.temporaryName === undefined && !isHeld) || there.kind === "folder") return undefined
    if (conflict === "skip") return "Skip"
    // Others have a name at once, and could not be flushed before, nor read back.
    if (isHeld) return undefined
    const areFiles = source.kind === "file" && there.kind === "file"
    const mayReplace = conflict === "changed" || conflict === "overwrite"
    return areFiles && mayReplace && !this.isAvoided(there) ? "Replace" : undefined
  }

  private isAvoided(stat: Files.FileStat): boolean {
    return this.payload.avoid.some((one) => Files.isSameInode(one, stat))
  }

  found(there: Files.FileStat): FilePath.FilePath | undefined {
    const decision = this.decide(there)
    if (decision === "Replace") return this.temporaryName?.(this.name)
    this.ends.push(decision === "Unchanged" ? unchanged : decision === "Skip" ? skipped : alone)
    return undefined
  }

  readonly ownerLost = (): void => {
    this.isOwnerLost = true
  }

  copied(sizeBytes: number): void {
    const isLink = this.source?.kind === "link"
    if (isLink && this.hold !== undefined) return this.holdOne(undefined, sizeBytes)
    this.count(sizeBytes)
    this.ends.push(isLink ? linked : copiedAs(this.taker?.end()))
  }

  private holdOne(file: Files.UnnamedFile | undefined, sizeBytes: number): void {
    const { name, options, source } = this
    if (source === undefined) return
    this.held.push({
      file,
      sizeBytes,
      name,
      index: this.ends.length,
      digests: file === undefined ? undefined : this.taker?.end(),
      edition: Moving.editionOf(source),
      linkedAs: HardLinks.editionOf(source, options),
      isOwnerLost: this.isOwnerLost
    })
    this.count(sizeBytes)
    this.leave()
  }

  private count(sizeBytes: number): void {
    this.bytes += sizeBytes
    if (this.isOwnerLost) this.ownersLost++
  }

  /** What is kept of copies before they have their names. */
  get begun(): SavedCopy.Saved {
    return this.isKeptFirst ? { decision: created } : {}
  }

  /** Takes that one which was held is in its place, and has nothing left to do. */
  placed({ digests, file, index }: Held): void {
    this.ends[index] = file === undefined ? linked : copiedAs(digests)
  }

  /** Takes that one which was held has not got its place; or may have, and that is not for sure. */
  notPlaced({ index, isOwnerLost, sizeBytes }: Held, mayBe = false): void {
    this.bytes -= sizeBytes
    if (isOwnerLost) this.ownersLost--
    if (mayBe && this.isKeptFirst) this.handOn(index, this.begun)
  }

  /** Names of those that have to be on the device, whoever has written them. */
  get toFlush(): ReadonlyArray<FilePath.FilePath> {
    return this.options.isDurable ? this.names.filter((_, index) => this.ends[index] === unchanged) : []
  }

  /** Takes that these could not be flushed: they may be lost, and a second time nobody would be told. */
  unflushed(): void {
    for (const [index, end] of this.ends.entries()) if (end === unchanged) this.handOn(index, { decision: replaced })
  }

  /** Leaves one to go on from there by itself. */
  handOn(index: number, saved: SavedCopy.Saved): void {
    this.ends[index] = { _tag: "Alone", saved }
  }

  readonly leave = (): void => {
    this.ends.push(alone)
  }

  spoiled(): void {
    this.isSpoiled = true
  }

  /** What the files came to. */
  get result(): CopiedFiles {
    const { bytes, ends, isMove, names, payload: { checksums } } = this
    const counts = { Copied: 0, Linked: 0, Unchanged: 0 }
    const alone: Array<CopiedFiles["alone"][number]> = []
    const skipped: Array<number> = []
    for (const [index, end] of ends.entries()) {
      if (end._tag === "Alone") alone.push(end.saved === undefined ? { index } : { index, saved: end.saved })
      else if (end._tag === "Skipped") skipped.push(index)
      else counts[end._tag]++
    }
    return {
      ...isMove
        ? { copied: 0, moved: counts.Copied + counts.Linked, linked: 0 }
        : { copied: counts.Copied, linked: counts.Linked },
      unchanged: counts.Unchanged,
      alone,
      skipped,
      left: names.length - ends.length,
      bytes,
      ...checksums === undefined ? {} : { digests: ends.map((end) => end._tag === "Copied" ? end.digest : null) }
    }
  }

  /** Gives its buffer to the next one. */
  giveBack(): void {
    spare.push(this.buffer)
  }

  fail({ call, code }: FilesError): void {
    // There are more once those that are held have got their names, here or elsewhere.
    const isOut = this.hold !== undefined && (code === "EMFILE" || code === "ENFILE")
    if (isOut && (HeldFiles.narrow() || this.held.length > 0)) {
      this.isFull = true
      return
    }
    this.isHopeless ||= (call === "create" && isUnsupported(code)) || call === "fchown"
    this.leave()
  }

  /** Those that were not come to, if it was not because there was too much. */
  leaveRest(): void {
    if (!this.isHopeless) return
    while (this.ends.length < this.names.length) this.leave()
  }
}
