/**
 * Folders that are open.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { type Answer, type Call, type Calls, code, type Failed, failed, immediate, map, orElse } from "../../Calls.ts"
import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import { type Call as Name, type FilesError, missing } from "../../FilesError.ts"
import type { FolderListing } from "../../FolderListing.ts"
import { unfinishedMode } from "../path/unfinishedFolder.ts"
import { listFolder } from "./folderReader.ts"
import { takeName } from "./freeName.ts"
import { File, UnnamedFile } from "./openFile.ts"
import { attempt, failure, isName, Open, read, scoped } from "./openHandle.ts"
import type { Routine } from "./routine.ts"

/** The folder itself, by which it is opened once more. */
const itself = FilePath.make(".")

/** A folder that is open as the place of names. */
export class Folder extends Open implements Files.Folder {
  get release(): Effect.Effect<void> {
    return Effect.sync(() => {
      this.isOpen = false
      this.system.calls.closeNow(this.descriptor)
    })
  }

  /** Makes a call by a name in this folder. */
  private named<A>(
    call: Name,
    name: FilePath.FilePath,
    make: (calls: Calls, folder: number) => Call<A> | Routine<Answer<A> | Failed>
  ): Effect.Effect<A, FilesError> {
    const path = FilePath.join(this.path, name)
    return isName(name) ? this.call(call, make, { path }) : Effect.fail(failure(call, path, "EINVAL"))
  }

  get identity(): Effect.Effect<Files.Identity, FilesError> {
    return this.call("fstat", (calls, folder) => calls.identity(folder))
  }

  get list(): Effect.Effect<FolderListing, FilesError> {
    const { path, system } = this
    // What it was opened for may not be enough to list it, and where one list stands another would go on.
    const open = () => this.isOpen ? system.calls.open(this.descriptor, itself, "list") : failed(code("EBADF"))
    return listFolder(system, path, open)
  }

  lstat(name: FilePath.FilePath): Effect.Effect<Files.FileStat, FilesError> {
    return this.named("lstat", name, (calls, folder) => read(calls.lstat(folder, name)))
  }

  find(name: FilePath.FilePath): Effect.Effect<Option.Option<Files.FileStat>, FilesError> {
    // That nothing is there is the most common answer: to make an error of it takes longer than to ask.
    return this.named("lstat", name, (calls, folder) =>
      orElse(
        map(read(calls.lstat(folder, name)), Option.some),
        (code) => missing.has(code.name) ? immediate(Option.none<Files.FileStat>) : failed(code)
      ))
  }

  folder(name: FilePath.FilePath): Effect.Effect<Files.Folder, FilesError, Scope.Scope> {
    return scoped(Effect.map(
      this.named("open", name, (calls, folder) => calls.open(folder, name, "folder")),
      (descriptor) => new Folder(this.system, descriptor, FilePath.join(this.path, name))
    ))
  }

  open(name: FilePath.FilePath): Effect.Effect<Files.OpenFile, FilesError, Scope.Scope> {
    return this.openAs("open", "read", name)
  }

  create(name: FilePath.FilePath): Effect.Effect<Files.OpenFile, FilesError, Scope.Scope> {
    return this.openAs("create", "create", name)
  }

  update(name: FilePath.FilePath): Effect.Effect<Files.OpenFile, FilesError, Scope.Scope> {
    return this.openAs("open", "update", name)
  }

  private openAs(call: "open" | "create", mode: "read" | "create" | "update", name: FilePath.FilePath) {
    return scoped(Effect.map(
      this.named(call, name, (calls, folder) => calls.open(folder, name, mode)),
      (descriptor) => new File(this.system, descriptor, FilePath.join(this.path, name))
    ))
  }

  get createUnnamed(): Effect.Effect<Files.UnnamedFile, FilesError, Scope.Scope> {
    return scoped(Effect.map(
      this.call("create", (calls, folder) => calls.open(folder, itself, "unnamed")),
      (descriptor) => new UnnamedFile(this.system, descriptor, this)
    ))
  }

  linkUnnamed(descriptor: number, name: FilePath.FilePath): Effect.Effect<void, FilesError> {
    return this.named("link", name, (calls, folder) => calls.linkUnnamed(descriptor, folder, name))
  }

  makeFolder(name: FilePath.FilePath): Effect.Effect<void, FilesError> {
    return this.named("mkdir", name, (calls, folder) => calls.makeFolder(folder, name, unfinishedMode))
  }

  readLink(name: FilePath.FilePath): Effect.Effect<FilePath.FilePath, FilesError> {
    return this.named("readlink", name, (calls, folder) => calls.readLink(folder, name))
  }

  makeLink(target: FilePath.FilePath, name: FilePath.FilePath): Effect.Effect<void, FilesError> {
    return this.named("symlink", name, (calls, folder) => calls.makeLink(target, folder, name))
  }

  run<A>(
    name: FilePath.FilePath,
    work: (calls: Calls, folder: number) => Routine<A | Failed>
  ): Effect.Effect<A, FilesError> {
    return this.named<A>("open", name, work)
  }

  rename(from: FilePath.FilePath, to: FilePath.FilePath, into: Files.Folder = this): Effect.Effect<void, FilesError> {
    return this.across("rename", from, into, to, (calls, folder, into) => calls.rename(folder, from, into, to))
  }

  renameExclusively(
    from: FilePath.FilePath,
    to: FilePath.FilePath,
    into: Files.Folder = this,
    mayStay = false
  ): Effect.Effect<void, FilesError> {
    const take = (calls: Calls, folder: number, into: number) =>
      takeName(calls, { folder, name: from }, { folder: into, name: to }, mayStay)
    return this.across("rename", from, into, to, take)
  }

  link(existing: FilePath.FilePath, name: FilePath.FilePath, to: Files.Folder = this): Effect.Effect<void, FilesError> {
    return this.across("link", existing, to, name, (calls, folder, to) => calls.link(folder, existing, to, name))
  }

  /** Makes a call by a name in this folder and one in another, which was opened by the same service. */
  private across(
    call: "rename" | "link",
    from: FilePath.FilePath,
    into: Files.Folder,
    to: FilePath.FilePath,
    make: (calls: Calls, folder: number, into: number) => Call<void> | Routine<Answer<void>>
  ): Effect.Effect<void, FilesError> {
    if (!(into instanceof Folder)) return Effect.die(new Error(`"${into.path}" was opened by another service of files`))
    const [path, target] = [FilePath.join(this.path, from), FilePath.join(into.path, to)]
    if (!isName(from) || !isName(to)) return Effect.fail(failure(call, path, "EINVAL"))
    return this.call<void>(
      call,
      (calls, folder) => into.isOpen ? make(calls, folder, into.descriptor) : failed(code("EBADF")),
      { path, target }
    )
  }

  get sync(): Effect.Effect<void, FilesError> {
    const { path, system: { calls, way } } = this
    // What it was opened for is not enough to flush it.
    return Files.waitForDescriptor(Effect.acquireUseRelease(
      this.call("fsync", (calls, folder) => calls.open(folder, itself, "list")),
      (descriptor) => attempt(way, "fsync", () => calls.sync(descriptor), { path, isLong: true }),
      (descriptor) => Effect.ignore(attempt(way, "close", () => calls.close(descriptor), { path }))
    ))
  }

  unlink(name: FilePath.FilePath): Effect.Effect<void, FilesError> {
    return this.named("unlink", name, (calls, folder) => calls.unlink(folder, name))
  }

  removeFolder(name: FilePath.FilePath): Effect.Effect<void, FilesError> {
    return this.named("rmdir", name, (calls, folder) => calls.removeFolder(folder, name))
  }

  atOnce<A>(
    work: (calls: Calls, folder: number, mayGoOn: () => boolean) => A
  ): Effect.Effect<Option.Option<A>> {
    const { calls, way } = this.system
    return Effect.suspend(() =>
      this.isOpen ? way.atOnce((mayGoOn) => work(calls, this.descriptor, mayGoOn)) : Effect.succeedNone
    )
  }
}
