/**
 * Copies files from one open folder into another, one after the other, in as few steps as can be: what is ordinary is
 * done, and of the rest it is told what came in the way.
 */
import * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import type { Call } from "../../FilesError.ts"
import { isLost } from "../attributes.ts"
import { isChanged } from "../content.ts"
import { userUnsafe } from "../unfinished.ts"
import { Sequence } from "./sequence.ts"
import { type Done, type PlainCopy, type SystemCalls, withoutAttributes } from "./systemCalls.ts"

/** What is to be asked next. */
type Step =
  | "next"
  | "meet"
  | "look"
  | "open"
  | "readLink"
  | "listLinkAttributes"
  | "makeLink"
  | "setLinkOwner"
  | "setLinkGroup"
  | "setLinkTimes"
  | "listAttributes"
  | "seekHole"
  | "create"
  | "read"
  | "write"
  | "statAgain"
  | "setOwner"
  | "setGroup"
  | "setMode"
  | "setTimes"
  | "link"
  | "closeCopy"
  | "takeBack"
  | "closeSource"

type LinkStep = Extract<
  Step,
  "readLink" | "listLinkAttributes" | "makeLink" | "setLinkOwner" | "setLinkGroup" | "setLinkTimes"
>

type SetStep = Extract<Step, "setOwner" | "setGroup" | "setMode" | "setTimes">

/** Beside those that tell of security, Linux lets links have only these. */
const ofLinks = "trusted."

interface Copying {
  readonly calls: SystemCalls
  readonly from: number
  readonly to: number
  readonly names: ReadonlyArray<FilePath.FilePath>
  /** Code of the error where a name can't be used. */
  readonly refuse: (name: FilePath.FilePath) => string | undefined
  readonly copier: Files.Copier
  /** A copy that has no name yet, for others to give it one: where the copier holds any. */
  readonly unnamed?: (descriptor: number) => Files.UnnamedFile
  /** Takes why a file was not copied; `isCopy` where it is the copy that the call was for. */
  readonly fail: (name: FilePath.FilePath, call: Call, code: string, isCopy: boolean) => void
  /** Takes how many of the names it got through. */
  readonly done: (count: number) => void
}

/** The folder itself, as it is opened for a file without a name. */
const here = FilePath.make(".")

const none: Uint8Array = new Uint8Array(0)

class Run extends Sequence {
  private readonly copying: Copying
  private step: Step = "next"
  private index = -1
  private source = -1
  /** The copy; nothing where it is not open. */
  private copy: number | undefined = undefined
  private stat: Files.FileStat | undefined
  private leadsTo = FilePath.empty
  private sizeBytes = 0
  private toWrite: Uint8Array = none
  /** Whether the end of the source was met. */
  private isRead = false
  /** Whether the copy has its name. */
  private isNamed = false
  /** Whether nothing is missing of it. */
  private isWhole = false
  private isStopped = false

  private readonly hold: PlainCopy["hold"]
  private readonly modes: PlainCopy["modes"] = new Map()

  constructor(copying: Copying) {
    super(() => copying.done(this.index))
    this.copying = copying
    const { copier: { hold }, unnamed } = copying
    if (hold !== undefined && unnamed !== undefined) this.hold = (copy, sizeBytes) => hold(unnamed(copy), sizeBytes)
  }

  private plain(name: FilePath.FilePath): PlainCopy {
    const { copier, from, to } = this.copying
    return { copier, from, to, name, modes: this.modes, hold: this.hold }
  }

  private next(step: Step): void {
    this.step = step
    this.goOn()
  }

  private get name(): FilePath.FilePath | undefined {
    return this.copying.names[this.index]
  }

  protected ask(): boolean {
    const { calls, copier, from, names, to } = this.copying
    const { copy = -1, source } = this
    if (this.step === "next") this.index++
    const name = names[this.index]
    if (name === undefined) return false
    switch (this.step) {
      case "next":
        return this.begin(name)
      case "meet":
        calls.lstat(from, name, this.met)
        return true
      case "open":
        calls.open(from, name, "read", this.opened)
        return true
      case "readLink":
      case "listLinkAttributes":
      case "makeLink":
      case "setLinkOwner":
      case "setLinkGroup":
      case "setLinkTimes":
        this.askForLink(this.step, name)
        return true
      case "look":
        calls.lstat(to, name, this.looked)
        return true
      case "seekHole":
        calls.seek(source, 0, "hole", this.holeSought)
        return true
      case "create":
        if (copier.isOwn) calls.open(to, name, "create", this.created)
        else calls.open(to, here, "unnamed", this.created)
        return true
      case "read":
        calls.read(source, copier.buffer, this.sizeBytes, this.read)
        return true
      case "write":
        calls.write(copy, this.toWrite, null, this.written)
        return true
      case "statAgain":
        calls.stat(source, this.stattedAgain)
        return true
      case "listAttributes":
        calls.listAttributes(source, this.attributesListed)
        return true
      case "setOwner":
      case "setGroup":
      case "setMode":
      case "setTimes":
        this.askToSet(this.step, copy)
        return true
      case "link":
        // Whoever must stop, or owns the job no more, gives nothing its name.
        if (copier.mayGoOn()) calls.linkUnnamed(copy, to, name, this.linked)
        else this.stop()
        return true
      case "closeCopy":
        this.copy = undefined
        calls.close(copy, this.copyClosed)
        return true
      case "takeBack":
        calls.unlink(to, name, this.takenBack)
        return true
      case "closeSource":
        calls.close(source, this.sourceClosed)
        return true
    }
  }

  private begin(name: FilePath.FilePath): boolean {
    const { calls, copier, refuse } = this.copying
    if (this.isStopped || !copier.mayGoOn()) return false
    const code = refuse(name)
    // Some must not even be opened: whoever closes a file of a database gives up the locks of its whole process.
    if (code !== undefined) this.failUnopened("lstat", code, false)
    else if (calls.copyPlain !== undefined) calls.copyPlain(this.plain(name), this.copiedAtOnce)
    else this.next("meet")
    return true
  }

  private askToSet(step: SetStep, copy: number): void {
    const { copying: { calls }, stat } = this
    switch (step) {
      case "setOwner":
        calls.setOwner(copy, stat?.owner ?? 0, stat?.group ?? 0, this.ownerSet)
        return
      case "setGroup":
        calls.setOwner(copy, userUnsafe(), stat?.group ?? 0, this.groupSet)
        return
      case "setMode":
        calls.setMode(copy, stat?.mode ?? 0, this.modeSet)
        return
      case "setTimes":
        if (stat === undefined) this.timesSet(undefined)
        else calls.setTimes(copy, stat, this.timesSet)
        return
    }
  }

  private askForLink(step: LinkStep, name: FilePath.FilePath): void {
    const { calls, copier, from, to } = this.copying
    const { stat } = this
    switch (step) {
      case "readLink":
        calls.readLink(from, name, this.linkRead)
        return
      case "listLinkAttributes":
        calls.listAttributesAt(from, name, this.linkAttributesListed)
        return
      case "makeLink":
        // As below: a link that was made has its name.
        if (copier.mayGoOn()) calls.makeLink(this.leadsTo, to, name, this.linkMade)
        else this.stopBefore()
        return
      case "setLinkOwner":
        calls.setOwnerAt(to, name, stat?.owner ?? 0, stat?.group ?? 0, this.linkOwnerSet)
        return
      case "setLinkGroup":
        calls.setOwnerAt(to, name, userUnsafe(), stat?.group ?? 0, this.linkGroupSet)
        return
      case "setLinkTimes":
        if (stat === undefined) this.linkTimesSet(undefined)
        else calls.setTimesAt(to, name, stat, this.linkTimesSet)
        return
    }
  }

  /** Gives a file up. What has no name yet is gone once it is closed. */
  private fail(call: Call, code: string, isCopy: boolean): void {
    if (this.name !== undefined) this.copying.fail(this.name, call, code, isCopy)
    this.leave()
  }

  private leave(): void {
    this.next(this.copy === undefined ? "closeSource" : "closeCopy")
  }

  private stop(): void {
    this.isStopped = true
    this.leave()
  }

  /** Stops before anything was opened. */
  private stopBefore(): void {
    this.isStopped = true
    this.index--
    this.next("next")
  }

  /** Gives up what was not opened. */
  private failUnopened(call: Call, code: string, isCopy: boolean): void {
    if (this.name !== undefined) this.copying.fail(this.name, call, code, isCopy)
    this.next("next")
  }

  /** Gives up a link that has its name already. */
  private failMade(call: Call, code: string): void {
    if (this.name !== undefined) this.copying.fail(this.name, call, code, true)
    this.next("takeBack")
  }

  /** What a copy begins with, where its name is free. */
  private get first(): Step {
    return this.stat?.kind === "link" ? "readLink" : "open"
  }

  private readonly copiedAtOnce: Done<boolean> = (code, isCopied) => {
    this.next(code === undefined && isCopied ? "next" : "meet")
  }

  private readonly met: Done<Files.FileStat> = (code, stat) => {
    if (code !== undefined) return this.failUnopened("lstat", code, false)
    this.stat = stat
    this.sizeBytes = 0
    this.isRead = false
    this.isNamed = false
    this.isWhole = false
    const { copier } = this.copying
    if (!copier.begin(stat)) return this.next("next")
    this.next(copier.isFree || copier.isOwn ? this.first : "look")
  }

  private readonly looked: Done<Files.FileStat> = (code, found) => {
    if (code === "ENOENT") return this.next(this.first)
    if (code !== undefined) return this.failUnopened("lstat", code, true)
    const { copier } = this.copying
    if (copier.found(found) !== undefined) copier.leave()
    this.next("next")
  }

  private readonly linkRead: Done<FilePath.FilePath> = (code, target) => {
    if (code !== undefined) return this.failUnopened("readlink", code, false)
    this.leadsTo = target
    this.next(this.copying.copier.isAttributeKept(ofLinks) ? "listLinkAttributes" : "makeLink")
  }

  private readonly linkAttributesListed: Done<ReadonlyArray<string>> = (code, names) => {
    if (this.hasNoAttributes(code, names)) return this.next("makeLink")
    this.copying.copier.leave()
    this.next("next")
  }

  private readonly linkMade: Done<void> = (code) => {
    if (code !== undefined) return this.failUnopened("symlink", code, true)
    this.next(this.copying.copier.keepsOwner ? "setLinkOwner" : "setLinkTimes")
  }

  private readonly linkOwnerSet: Done<void> = (code) => {
    if (code !== undefined && !isLost(code)) return this.failMade("lchown", code)
    this.next(code === undefined ? "setLinkTimes" : "setLinkGroup")
  }

  private readonly linkGroupSet = (): void => {
    this.copying.copier.ownerLost()
    this.next("setLinkTimes")
  }

  private readonly linkTimesSet = (code: string | undefined): void => {
    if (code !== undefined) return this.failMade("lutimes", code)
    this.copying.copier.copied(0)
    this.next("next")
  }

  private readonly opened: Done<number> = (code, descriptor) => {
    this.source = descriptor
    if (code !== undefined) return this.failUnopened("open", code, false)
    this.next("listAttributes")
  }

  private hasNoAttributes(code: string | undefined, names: ReadonlyArray<string>): boolean {
    return code === undefined ? !names.some(this.copying.copier.isAttributeKept) : withoutAttributes.has(code)
  }

  private readonly attributesListed: Done<ReadonlyArray<string>> = (code, names) => {
    if (this.hasNoAttributes(code, names)) return this.next(this.mayHaveHoles ? "seekHole" : "create")
    this.copying.copier.leave()
    this.leave()
  }

  /** What is compressed has less on the disk, too, and no hole before its end. */
  private get mayHaveHoles(): boolean {
    const { allocatedBytes = 0, sizeBytes = 0 } = this.stat ?? {}
    return this.copying.copier.keepsHoles && allocatedBytes < sizeBytes
  }

  private readonly holeSought: Done<number> = (code, at) => {
    if (code !== undefined || at >= (this.stat?.sizeBytes ?? 0)) return this.next("create")
    this.copying.copier.leave()
    this.leave()
  }

  private readonly created: Done<number> = (code, descriptor) => {
    if (code !== undefined) return this.fail("create", code, true)
    this.copy = descriptor
    this.isNamed = this.copying.copier.isOwn
    this.next("read")
  }

  private readonly read: Done<number> = (code, length) => {
    if (code !== undefined) return this.fail("read", code, false)
    const { buffer } = this.copying.copier
    this.toWrite = length === buffer.length ? buffer : buffer.subarray(0, length)
    if (length > 0) this.copying.copier.take?.(this.toWrite)
    this.sizeBytes += length
    // A read that does not fill the buffer has met the end, if that is where it should be.
    this.isRead = length === 0 || (this.sizeBytes === this.stat?.sizeBytes && length < buffer.length)
    this.next(length === 0 ? "statAgain" : "write")
  }

  private readonly written: Done<number> = (code, length) => {
    // A device that takes nothing and names no error would be asked for ever.
    if (code !== undefined || length === 0) return this.fail("write", code ?? "EIO", true)
    if (length < this.toWrite.length) {
      this.toWrite = this.toWrite.subarray(length)
      return this.next("write")
    }
    if (this.isRead) return this.next("statAgain")
    // One that grows might do so for ever. What says that it has nothing is given all the time it takes: `/proc` does.
    const { sizeBytes = 0 } = this.stat ?? {}
    if (sizeBytes > 0 && this.sizeBytes > sizeBytes) {
      this.copying.copier.leave()
      return this.leave()
    }
    if (this.copying.copier.mayGoOn()) this.next("read")
    else this.stop()
  }

  private readonly stattedAgain: Done<Files.FileStat> = (code, stat) => {
    if (code !== undefined) return this.fail("fstat", code, false)
    // What was opened may be another one than what was met.
    const { stat: met } = this
    const isSame = met !== undefined && met.inode === stat.inode && met.device === stat.device
    if (isSame && !isChanged(met, stat)) return this.next(this.copying.copier.keepsOwner ? "setOwner" : "setMode")
    this.copying.copier.leave()
    this.leave()
  }

  private readonly ownerSet: Done<void> = (code) => {
    if (code !== undefined && !isLost(code)) return this.fail("fchown", code, true)
    this.next(code === undefined ? "setMode" : "setGroup")
  }

  /** Who may not give a file away may still give it to one of the own groups, or not. */
  private readonly groupSet = (): void => {
    this.copying.copier.ownerLost()
    this.next("setMode")
  }

  private readonly modeSet: Done<void> = (code) => {
    if (code !== undefined) return this.fail("fchmod", code, true)
    this.next("setTimes")
  }

  private readonly timesSet = (code: string | undefined): void => {
    if (code !== undefined) return this.fail("futimes", code, true)
    const { copier: { isOwn } } = this.copying
    this.isWhole = isOwn
    if (isOwn) return this.next("closeCopy")
    if (this.hold === undefined || this.copy === undefined) return this.next("link")
    this.hold(this.copy, this.sizeBytes)
    this.copy = undefined
    this.leave()
  }

  private readonly linked: Done<void> = (code) => {
    if (code !== undefined) return this.fail("link", code, true)
    this.isNamed = true
    this.isWhole = true
    this.next("closeCopy")
  }

  private readonly copyClosed: Done<void> = (code) => {
    if (this.isWhole && code === undefined) {
      this.copying.copier.copied(this.sizeBytes)
      return this.next("closeSource")
    }
    if (this.isWhole && this.name !== undefined && code !== undefined) {
      this.copying.fail(this.name, "close", code, true)
    }
    this.next(this.isNamed ? "takeBack" : "closeSource")
  }

  private readonly takenBack: Done<void> = (code) => {
    if (code !== undefined && code !== "ENOENT") this.copying.copier.spoiled()
    // For a link nothing was opened.
    this.next(this.stat?.kind === "link" ? "next" : "closeSource")
  }

  /** What fails to close was read. One that was stopped on its way counts as not begun. */
  private readonly sourceClosed: Done<void> = () => {
    if (this.isStopped) this.index--
    this.next("next")
  }
}

/** Copies files. */
export const copyEach = (copying: Copying): void => new Run(copying).run()
