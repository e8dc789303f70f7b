/**
 * Decides about the copies of files of one folder: copies what is ordinary, and leaves the rest.
 */
import type * as Task from "@fanout/core/Task"
import * as Conflict from "../Conflict.ts"
import type { CopyOptions, Property } from "../CopyOptions.ts"
import type { CopiedFiles, CopyFiles } from "../CopyTask.ts"
import type * as FilePath from "../FilePath.ts"
import * as Files from "../Files.ts"
import type { FilesError } from "../FilesError.ts"
import * as WholeCopy from "../WholeCopy.ts"
import { isAlike } from "./alike.ts"
import { isKept } from "./attributes.ts"
import * as HeldFiles from "./heldFiles.ts"
import * as MovingTogether from "./movingTogether.ts"
import type * as SavedCopy from "./savedCopy.ts"
import { makeTaker, type Taker } from "./taking.ts"
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

const bufferBytes = 2 ** 18

/** Buffers that are not in use: to make one takes longer than to fill it with a small file. */
const spare: Array<Uint8Array> = []

const setIdBits = 0o6000

const replaced = Conflict.Decision.cases.Replace.make({})

/** A copy that has no name yet. */
export interface Held {
  readonly file: Files.UnnamedFile
  readonly sizeBytes: number
  /** Its place among the names. */
  readonly index: number
  /** Of what was copied, if it is to be compared. */
  readonly compared: string | undefined
  /** What the source was, if it is to be removed. */
  readonly source: MovingTogether.Source | undefined
}

/** Copies what is ordinary, and leaves the rest. It has a buffer until it is given back. */
export class Copying implements Files.Copier {
  copies = 0
  links = 0
  /** Places of names whose files are left, since they are as the source. */
  private readonly unchanged: Array<number> = []
  bytes = 0
  readonly alone: Array<number> = []
  readonly skipped: Array<number> = []
  private readonly handed: Array<SavedCopy.Handed[number]> = []
  readonly buffer = spare.pop() ?? Buffer.allocUnsafeSlow(bufferBytes)
  readonly hold: Files.Copier["hold"]
  readonly take: Files.Copier["take"]
  private readonly taker: Taker | undefined
  readonly keepsOwner: boolean
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
  /** How many were dealt with. */
  count = 0
  /** Checksum of each that was dealt with, as far as it was copied. */
  readonly digests: Array<string | null> = []
  /** Copies that have no name yet. */
  readonly held: Array<Held> = []
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
    if (isDurable || isVerified) this.hold = (file, sizeBytes) => this.holdOne(file, sizeBytes)
    this.taker = makeTaker({ isVerified, checksums: payload.checksums })
    this.take = this.taker?.take
    this.keeps = new Set(payload.keeps)
    this.keepsOwner = this.keeps.has("owner")
    this.isAttributeKept = (name) => isKept(name, this.keeps)
    this.mayWork = mayWork
  }

  get isMove(): boolean {
    return this.options.isMove
  }

  get isFree(): boolean {
    return this.payload.isFree
  }

  readonly mayGoOn = (): boolean =>
    !this.isFull && this.held.length < this.limit &&
    this.bytes < this.payload.mostBytes && !this.isHopeless && this.mayWork()

  begin(stat: Files.FileStat): boolean {
    const { allocatedBytes, kind, links, mode, sizeBytes } = stat
    const isSmall = kind === "file" && sizeBytes <= WholeCopy.maxSizeBytes && (mode & setIdBits) === 0 &&
      !(this.keeps.has("sparse") && allocatedBytes < sizeBytes) && !(this.keeps.has("links") && links > 1)
    // A link has its name at once, and could not be flushed before.
    const isOrdinary = (isSmall || (kind === "link" && this.hold === undefined)) &&
      !this.isAvoided(stat)
    this.source = stat
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
    // Others have a name at once, and could not be flushed before, nor read back.
    if (this.hold !== undefined) return undefined
    // Links are left either way here: where they lead is not read.
    if (conflict === "skip" && isAgain && isAlike(source, there)) return "Unchanged"
    if (this.temporaryName === undefined || there.kind === "folder") return undefined
    if (conflict === "skip") return "Skip"
    const areFiles = source.kind === "file" && there.kind === "file"
    const mayReplace = conflict === "changed" || conflict === "overwrite"
    return areFiles && mayReplace && !this.isAvoided(there) ? "Replace" : undefined
  }

  private isAvoided(stat: Files.FileStat): boolean {
    return this.payload.avoid.some((one) => Files.isSameInode(one, stat))
  }

  replacing(there: Files.FileStat): FilePath.FilePath | undefined {
    const name = this.names[this.count]
    return name !== undefined && this.decide(there) === "Replace" ? this.temporaryName?.(name) : undefined
  }

  found(there: Files.FileStat): void {
    const decision = this.decide(there)
    if (decision === "Unchanged") this.unchanged.push(this.count)
    else if (decision === "Skip") this.skipped.push(this.count)
    else return this.leave()
    this.next()
  }

  copied(sizeBytes: number): void {
    const isLink = this.source?.kind === "link"
    if (isLink) this.links++
    else this.copies++
    this.bytes += sizeBytes
    this.next(isLink ? undefined : this.taker?.end().checksum)
  }

  private holdOne(file: Files.UnnamedFile, sizeBytes: number): void {
    const digests = this.taker?.end()
    const { options, source: stat } = this
    const source = this.isMove && stat !== undefined ? MovingTogether.sourceOf(stat, options) : undefined
    this.held.push({ file, sizeBytes, index: this.count, compared: digests?.compared, source })
    this.bytes += sizeBytes
    this.next(digests?.checksum)
  }

  /** Takes what has become of one that was held. */
  placed(isPlaced: boolean, { index, sizeBytes }: Held): void {
    if (isPlaced) {
      this.copies++
    } else {
      this.alone.push(index)
      this.digests[index] = null
      this.bytes -= sizeBytes
    }
  }

  /** Names of those that have to be on the device, whoever has written them. */
  get toFlush(): ReadonlyArray<FilePath.FilePath> {
    return this.options.isDurable ? this.unchanged.flatMap((index) => this.names[index] ?? []) : []
  }

  /** Takes that these could not be flushed: they may be lost, and a second time nobody would be told. */
  unflushed(): void {
    for (const index of this.unchanged.splice(0)) this.handOn({ index }, { decision: replaced })
  }

  /** Leaves one to go on from there by itself. */
  handOn({ index }: Pick<Held, "index">, saved: SavedCopy.Saved): void {
    this.alone.push(index)
    this.digests[index] = null
    this.handed.push({ index, saved })
  }

  /** By itself it is copied once more. */
  changed(): void {
    this.leave()
  }

  readonly hasAttributes = (): void => {
    this.leave()
  }

  spoiled(): void {
    this.isSpoiled = true
  }

  /** What the files came to. */
  get result(): CopiedFiles {
    const { isMove } = this
    return {
      copied: isMove ? 0 : this.copies,
      ...isMove ? { moved: this.copies } : {},
      ...this.handed.length === 0 ? {} : { handed: this.handed },
      linked: this.links,
      unchanged: this.unchanged.length,
      alone: this.alone,
      skipped: this.skipped,
      left: this.names.length - this.count,
      bytes: this.bytes,
      ...this.payload.checksums === undefined ? {} : { digests: this.digests }
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
    while (this.count < this.names.length) this.leave()
  }

  private leave(): void {
    this.alone.push(this.count)
    this.next()
  }

  private next(digest: string | null = null): void {
    this.digests.push(digest)
    this.count++
  }
}
