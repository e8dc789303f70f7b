/**
 * Folders that are open.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import { type Call, type FilesError, missing } from "../../FilesError.ts"
import type { FolderListing } from "../../FolderListing.ts"
import { unfinishedMode } from "../unfinished.ts"
import { copyEach } from "./copyEach.ts"
import { listFolder } from "./listFolder.ts"
import { attempt, failure, isName, Open, scoped } from "./opened.ts"
import { File, UnnamedFile } from "./openFile.ts"
import { sweepEach } from "./sweepEach.ts"
import { type Done, type SystemCalls } from "./systemCalls.ts"

/** The folder itself, by which it is opened once more. */
const itself = FilePath.make(".")

/** A folder that is open as the place of names. */
export class Folder extends Open implements Files.Folder {
  get release(): Effect.Effect<void> {
    return Effect.sync(() => {
      this.isOpen = false
      this.calls.closeFolder(this.descriptor)
    })
  }

  /** Makes a call by a name in this folder. */
  private named<A>(
    call: Call,
    name: FilePath.FilePath,
    start: (calls: SystemCalls, folder: number, done: Done<A>) => void
  ): Effect.Effect<A, FilesError> {
    const path = FilePath.join(this.path, name)
    return isName(name) ? this.call(call, start, path) : Effect.fail(failure(call, path, "EINVAL"))
  }

  get identity(): Effect.Effect<Files.Identity, FilesError> {
    return this.call<Files.Identity>("fstat", (calls, descriptor, done) => calls.identity(descriptor, done))
  }

  get list(): Effect.Effect<FolderListing, FilesError> {
    const { calls, path } = this
    // What it was opened for may not be enough to list it, and where one list stands another would go on.
    const open = (done: Done<number>): void =>
      this.isOpen ? calls.open(this.descriptor, itself, "list", done) : done("EBADF", -1)
    return listFolder({ calls, path, open })
  }

  lstat(name: FilePath.FilePath): Effect.Effect<Files.FileStat, FilesError> {
    return this.named<Files.FileStat>("lstat", name, (calls, folder, done) => calls.lstat(folder, name, done))
  }

  find(name: FilePath.FilePath): Effect.Effect<Option.Option<Files.FileStat>, FilesError> {
    // That nothing is there is the most common answer: to make an error of it takes longer than to ask.
    return this.named<Option.Option<Files.FileStat>>(
      "lstat",
      name,
      (calls, folder, done) =>
        calls.lstat(folder, name, (code, stat) =>
          code === undefined
            ? done(code, Option.some(stat))
            : done(missing.has(code) ? undefined : code, Option.none()))
    )
  }

  folder(name: FilePath.FilePath): Effect.Effect<Files.Folder, FilesError, Scope.Scope> {
    return scoped(Effect.map(
      this.named<number>("open", name, (calls, folder, done) => calls.open(folder, name, "folder", done)),
      (descriptor) => new Folder(this.calls, descriptor, FilePath.join(this.path, name))
    ))
  }

  open(name: FilePath.FilePath): Effect.Effect<Files.OpenFile, FilesError, Scope.Scope> {
    return this.openAs("open", "read", name)
  }

  copyEach(
    names: ReadonlyArray<FilePath.FilePath>,
    to: Files.Folder,
    copier: Files.Copier
  ): Effect.Effect<number> {
    if (!(to instanceof Folder)) return Effect.die(new Error(`"${to.path}" was opened by another service of files`))
    return Effect.uninterruptible(Effect.callback((resume) =>
      copyEach({
        calls: this.calls,
        from: this.descriptor,
        to: to.descriptor,
        names,
        refuse: (name) => isName(name) ? this.isOpen && to.isOpen ? undefined : "EBADF" : "EINVAL",
        copier,
        unnamed: (descriptor) => new UnnamedFile(this.calls, descriptor, to),
        fail: (name, call, code, isCopy) =>
          copier.fail(failure(call, FilePath.join(isCopy ? to.path : this.path, name), code)),
        done: (count) => resume(Effect.succeed(count))
      })
    ))
  }

  create(name: FilePath.FilePath): Effect.Effect<Files.OpenFile, FilesError, Scope.Scope> {
    return this.openAs("create", "create", name)
  }

  update(name: FilePath.FilePath): Effect.Effect<Files.OpenFile, FilesError, Scope.Scope> {
    return this.openAs("open", "update", name)
  }

  private openAs(call: "open" | "create", mode: "read" | "create" | "update", name: FilePath.FilePath) {
    return scoped(Effect.map(
      this.named<number>(call, name, (calls, folder, done) => calls.open(folder, name, mode, done)),
      (descriptor) => new File(this.calls, descriptor, FilePath.join(this.path, name))
    ))
  }

  get createUnnamed(): Effect.Effect<Files.UnnamedFile, FilesError, Scope.Scope> {
    return scoped(Effect.map(
      this.call<number>("create", (calls, folder, done) => calls.open(folder, itself, "unnamed", done)),
      (descriptor) => new UnnamedFile(this.calls, descriptor, this)
    ))
  }

  linkUnnamed(descriptor: number, name: FilePath.FilePath): Effect.Effect<void, FilesError> {
    return this.named<void>("link", name, (calls, folder, done) => calls.linkUnnamed(descriptor, folder, name, done))
  }

  makeFolder(name: FilePath.FilePath): Effect.Effect<void, FilesError> {
    const make = (calls: SystemCalls, folder: number, done: Done<void>) =>
      calls.makeFolder(folder, name, unfinishedMode, done)
    return this.named<void>("mkdir", name, make)
  }

  readLink(name: FilePath.FilePath): Effect.Effect<FilePath.FilePath, FilesError> {
    return this.named<FilePath.FilePath>("readlink", name, (calls, folder, done) => calls.readLink(folder, name, done))
  }

  makeLink(target: FilePath.FilePath, name: FilePath.FilePath): Effect.Effect<void, FilesError> {
    return this.named<void>("symlink", name, (calls, folder, done) => calls.makeLink(target, folder, name, done))
  }

  setTimes(name: FilePath.FilePath, times: Files.FileTimes): Effect.Effect<void, FilesError> {
    return this.named<void>("lutimes", name, (calls, folder, done) => calls.setTimesAt(folder, name, times, done))
  }

  setOwner(name: FilePath.FilePath, { group, owner }: Files.Owner): Effect.Effect<void, FilesError> {
    return this.named<void>("lchown", name, (calls, folder, done) => calls.setOwnerAt(folder, name, owner, group, done))
  }

  attributeNames(of: FilePath.FilePath): Effect.Effect<ReadonlyArray<string>, FilesError> {
    return this.named<ReadonlyArray<string>>(
      "listxattr",
      of,
      (calls, folder, done) => calls.listAttributesAt(folder, of, done)
    )
  }

  attribute(of: FilePath.FilePath, name: string): Effect.Effect<Uint8Array, FilesError> {
    return this.named<Uint8Array>(
      "getxattr",
      of,
      (calls, folder, done) => calls.getAttributeAt(folder, of, name, done)
    )
  }

  setAttribute(of: FilePath.FilePath, { name, value }: Files.Attribute): Effect.Effect<void, FilesError> {
    return this.named<void>(
      "setxattr",
      of,
      (calls, folder, done) => calls.setAttributeAt(folder, of, name, value, done)
    )
  }

  rename(from: FilePath.FilePath, to: FilePath.FilePath, into: Files.Folder = this): Effect.Effect<void, FilesError> {
    return this.across(
      "rename",
      from,
      into,
      to,
      (calls, folder, into, done) => calls.rename(folder, from, into, to, done)
    )
  }

  renameExclusively(
    from: FilePath.FilePath,
    to: FilePath.FilePath,
    into: Files.Folder = this
  ): Effect.Effect<void, FilesError> {
    return this.across(
      "rename",
      from,
      into,
      to,
      (calls, folder, into, done) => calls.renameExclusively(folder, from, into, to, done)
    )
  }

  link(existing: FilePath.FilePath, name: FilePath.FilePath, to: Files.Folder = this): Effect.Effect<void, FilesError> {
    return this.across(
      "link",
      existing,
      to,
      name,
      (calls, folder, to, done) => calls.link(folder, existing, to, name, done)
    )
  }

  /** Makes a call by a name in this folder and one in another, which was opened by the same service. */
  private across(
    call: "rename" | "link",
    from: FilePath.FilePath,
    into: Files.Folder,
    to: FilePath.FilePath,
    start: (calls: SystemCalls, folder: number, into: number, done: Done<void>) => void
  ): Effect.Effect<void, FilesError> {
    if (!(into instanceof Folder)) return Effect.die(new Error(`"${into.path}" was opened by another service of files`))
    const path = FilePath.join(this.path, from)
    if (!isName(from) || !isName(to)) return Effect.fail(failure(call, path, "EINVAL"))
    return this.call<void>(
      call,
      (calls, folder, done) => {
        if (into.isOpen) start(calls, folder, into.descriptor, done)
        else done("EBADF", undefined)
      },
      path,
      FilePath.join(into.path, to)
    )
  }

  get sync(): Effect.Effect<void, FilesError> {
    const { calls, path } = this
    // What it was opened for is not enough to flush it.
    return Files.waitForDescriptor(Effect.acquireUseRelease(
      this.call<number>("fsync", (calls, folder, done) => calls.open(folder, itself, "list", done)),
      (descriptor) => attempt<void>("fsync", path, (done) => calls.sync(descriptor, done)),
      (descriptor) => Effect.ignore(attempt<void>("close", path, (done) => calls.close(descriptor, done)))
    ))
  }

  unlink(name: FilePath.FilePath): Effect.Effect<void, FilesError> {
    return this.named<void>("unlink", name, (calls, folder, done) => calls.unlink(folder, name, done))
  }

  sweepEach(names: ReadonlyArray<FilePath.FilePath>, sweeper: Files.Sweeper): Effect.Effect<number> {
    return Effect.uninterruptible(Effect.callback((resume) =>
      sweepEach({
        calls: this.calls,
        folder: this.descriptor,
        names,
        refuse: (name) => isName(name) ? this.isOpen ? undefined : "EBADF" : "EINVAL",
        sweeper,
        done: (count) => resume(Effect.succeed(count))
      })
    ))
  }

  sweepTree(name: FilePath.FilePath, sweeper: Files.Sweeper): Effect.Effect<Option.Option<boolean>> {
    return Effect.uninterruptible(Effect.callback((resume) => {
      const { calls, descriptor: folder } = this
      if (calls.sweepTree === undefined || !this.isOpen || !isName(name)) return resume(Effect.succeedNone)
      calls.sweepTree({ folder, name, sweeper }, (_, end) => resume(Effect.succeed(Option.fromUndefinedOr(end))))
    }))
  }

  removeFolder(name: FilePath.FilePath): Effect.Effect<void, FilesError> {
    return this.named<void>("rmdir", name, (calls, folder, done) => calls.removeFolder(folder, name, done))
  }
}
