/**
 * Handler of the task `CopyFiles`.
 *
 * @since 0.1.0
 */
import * as Interrupter from "@fanout/core/Interrupter"
import * as Lease from "@fanout/core/Lease"
import * as Progress from "@fanout/core/Progress"
import type * as Task from "@fanout/core/Task"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Conflict from "./Conflict.ts"
import { CopyOptions, type Property } from "./CopyOptions.ts"
import { type CopiedFiles, CopyFiles, ThreadTasks } from "./CopyTask.ts"
import * as FilePath from "./FilePath.ts"
import * as Files from "./Files.ts"
import type { FilesError } from "./FilesError.ts"
import { isKept } from "./internal/attributes.ts"
import { type Flush, prepare } from "./internal/durability.ts"
import * as HeldFiles from "./internal/heldFiles.ts"
import * as ReadBack from "./internal/readBack.ts"
import { makeTaker, type Taker } from "./internal/taking.ts"
import { isUnsupported } from "./internal/unnamedFiles.ts"
import * as WholeCopy from "./WholeCopy.ts"

type Payload = Task.Payload<typeof CopyFiles>

const bufferBytes = 2 ** 18

/** Buffers that are not in use: to make one takes longer than to fill it with a small file. */
const spare: Array<Uint8Array> = []

const setIdBits = 0o6000

/** A copy that has no name yet. */
interface Held {
  readonly file: Files.UnnamedFile
  readonly sizeBytes: number
  /** Its place among the names. */
  readonly index: number
  /** Of what was copied, if it is to be compared. */
  readonly compared: string | undefined
}

/** Copies what is ordinary, and leaves the rest. */
class Copying implements Files.Copier {
  copies = 0
  links = 0
  unchanged = 0
  bytes = 0
  readonly alone: Array<number> = []
  readonly buffer = spare.pop() ?? Buffer.allocUnsafeSlow(bufferBytes)
  readonly hold: Files.Copier["hold"]
  readonly take: Files.Copier["take"]
  private readonly taker: Taker | undefined
  readonly keepsOwner: boolean
  readonly isAttributeKept: (name: string) => boolean
  private readonly payload: Payload
  private readonly keeps: ReadonlySet<Property>
  /** Whether the job may go on here. */
  readonly mayWork: () => boolean
  private readonly limit: number
  private source: Files.FileStat | undefined
  private isInFile = false
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

  constructor(payload: Payload, { isDurable, isVerified }: CopyOptions, limit: number, mayWork: () => boolean) {
    this.payload = payload
    this.limit = limit
    if (isDurable || isVerified) this.hold = (file, sizeBytes) => this.holdOne(file, sizeBytes)
    this.taker = makeTaker({ isVerified, checksums: payload.checksums })
    this.take = this.taker?.take
    this.keeps = new Set(payload.keeps)
    this.keepsOwner = this.keeps.has("owner")
    this.isAttributeKept = (name) => isKept(name, this.keeps)
    this.mayWork = mayWork
  }

  get isFree(): boolean {
    return this.payload.isFree
  }

  readonly mayGoOn = (): boolean =>
    !this.isFull && this.held.length < this.limit &&
    (this.isInFile || (this.bytes < this.payload.mostBytes && !this.isHopeless)) &&
    this.mayWork()

  begin(stat: Files.FileStat): boolean {
    const { allocatedBytes, device, inode, kind, links, mode, sizeBytes } = stat
    const isSmall = kind === "file" && sizeBytes <= WholeCopy.maxSizeBytes && (mode & setIdBits) === 0 &&
      !(this.keeps.has("sparse") && allocatedBytes < sizeBytes) && !(this.keeps.has("links") && links > 1)
    // A link has its name at once, and could not be flushed before.
    const isOrdinary = (isSmall || (kind === "link" && this.hold === undefined)) &&
      !this.payload.avoid.some((one) => one.inode === inode && one.device === device)
    this.source = stat
    // It may have been given part of one that was left.
    if (isOrdinary) this.taker?.end()
    this.isInFile = isOrdinary
    if (!isOrdinary) this.leave()
    return isOrdinary
  }

  found(there: Files.FileStat): void {
    const isSame = this.payload.leavesSame && this.source !== undefined && Conflict.isSameFile(this.source, there)
    // One that a run before this has copied may not be on the device, and what it holds was not seen.
    if (!isSame || this.hold !== undefined || this.take !== undefined) return this.leave()
    this.unchanged++
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
    this.held.push({ file, sizeBytes, index: this.count, compared: digests?.compared })
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

  /** By itself it is copied once more. */
  changed(): void {
    this.leave()
  }

  readonly hasAttributes = (): void => {
    this.leave()
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
    while (this.count < this.payload.names.length) this.leave()
  }

  private leave(): void {
    this.alone.push(this.count)
    this.next()
  }

  private next(digest: string | null = null): void {
    this.digests.push(digest)
    this.count++
    this.isInFile = false
  }
}

/** Gives copies that are on the device their names. What fails by itself is tried again from the source. */
const placeHeld = Effect.fnUntraced(function*(
  to: Files.Folder,
  names: Payload["names"],
  copying: Copying,
  flush: Flush
) {
  const { held } = copying
  const isWritten = yield* Effect.isSuccess(flush.content(held.map(({ file }) => file)))
  const placed: Array<{ readonly one: Held; readonly name: FilePath.FilePath }> = []
  for (const one of held) {
    const { compared, file, index } = one
    const name = names[index]
    if (name === undefined || !isWritten) {
      copying.placed(false, one)
      continue
    }
    const isSame = compared === undefined ||
      (yield* Effect.isSuccess(ReadBack.readBack(file, compared, FilePath.join(to.path, name))))
    // Whoever must stop, or owns the job no more, gives nothing its name.
    if (isSame && copying.mayWork() && (yield* Effect.isSuccess(file.link(name)))) {
      placed.push({ one, name })
    } else copying.placed(false, one)
  }
  const compared = placed.filter(({ one }) => one.compared !== undefined).length
  const areKept = yield* Effect.isSuccess(flush.names)
  for (const { name, one } of placed) {
    if (!areKept && copying.mayWork()) yield* Effect.ignore(to.unlink(name))
    copying.placed(areKept, one)
  }
  if (areKept && compared > 0) yield* ReadBack.count(compared)
})

const copyIn = Effect.fnUntraced(function*(payload: Payload, copying: Copying) {
  const files = yield* Files.Files
  const [from, to] = [yield* files.folder(payload.source), yield* files.folder(payload.target)]
  const flush = yield* prepare(to)
  yield* Effect.addFinalizer(() =>
    Effect.forEach(copying.held, ({ file }) => Effect.ignore(file.close), { discard: true })
  )
  yield* from.copyEach(payload.names, to, copying)
  copying.leaveRest()
  if (copying.hold !== undefined) yield* placeHeld(to, payload.names, copying, flush)
}, Effect.scoped)

const nothing = { copied: 0, linked: 0, unchanged: 0, left: 0, bytes: 0 }

/**
 * Copies files, here, until it is asked to stop or has copied as much as it may.
 *
 * @category running
 * @since 0.1.0
 */
export const copy = Effect.fnUntraced(function*(
  payload: Payload
): Effect.fn.Return<CopiedFiles, never, Files.Files> {
  const stop = yield* Interrupter.Interrupter
  const lease = yield* Lease.Lease
  const options = yield* CopyOptions
  const mayWork = () => stop.reason === undefined && lease.isHeldUnsafe()
  const run = (limit: number) => copyWith(payload, new Copying(payload, options, limit, mayWork))
  return yield* options.isDurable || options.isVerified ? HeldFiles.batch(run) : run(payload.names.length)
})

const copyWith = (payload: Payload, copying: Copying): Effect.Effect<CopiedFiles, never, Files.Files> =>
  copyIn(payload, copying).pipe(
    Effect.tap(() => Progress.add("bytes", copying.bytes)),
    Effect.map(() => ({
      copied: copying.copies,
      linked: copying.links,
      unchanged: copying.unchanged,
      alone: copying.alone,
      left: payload.names.length - copying.count,
      bytes: copying.bytes,
      ...payload.checksums === undefined ? {} : { digests: copying.digests }
    })),
    // By itself each of them is told why.
    Effect.catch(() => Effect.succeed({ ...nothing, alone: payload.names.map((_, i) => i) })),
    Effect.ensuring(Effect.sync(() => spare.push(copying.buffer)))
  )

/**
 * Layer that supplies the handler.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Task.Handler<typeof CopyFiles>, never, Files.Files> = ThreadTasks.toLayer(
  Effect.map(Files.Files, (files) => ({
    [CopyFiles._tag]: (payload: Payload) => Effect.provideService(copy(payload), Files.Files, files)
  }))
)
