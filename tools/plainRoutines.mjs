// Adds to each routine of a module (`packages/ops/src/internal/files/routine.ts`) its plain twin: a function of that
// text which makes its calls at once, with `$now` behind its name and without `yield*`. Where `now` does a routine it
// calls the twin. A thread that copies small files takes a fifth less time by that.
//
// So a routine is a `function*` with a name, or a method, that says nothing but `yield*`, and behind that
//
//     calls.lstat(folder, name)    a call of something named `calls`
//     open                         a variable that has a call
//     namesIn(calls, folder)       a routine by its name
//     remover.begin(path, folder)  a routine that is a method
import { parseAst } from "rolldown/parseAst"

/** Whether a module has routines, or does some, by its source. */
export const hasRoutines = (/** @type {string} */ source) => /from "[^"]*\/routine\.ts"/.test(source)

/** @typedef {{ type: string, start: number, end: number, [key: string]: any }} Node */
/** @typedef {{ at: number, to: number, text: string }} Edit */

/**
 * @param {Node} node
 * @returns {Array<Node>}
 */
const childrenOf = (node) =>
  Object.entries(node).flatMap(([key, value]) =>
    key === "parent" ? [] : (Array.isArray(value) ? value : [value]).filter((child) => typeof child?.type === "string")
  )

/**
 * @param {Node} node
 * @param {(node: Node) => void} visit
 */
const walk = (node, visit) => {
  visit(node)
  for (const child of childrenOf(node)) walk(child, visit)
}

/** Whether something is a routine that is a method, of a class or of an object. */
const isMethod = (/** @type {Node} */ { method, type, value }) =>
  (type === "MethodDefinition" || (type === "Property" && method === true)) && value.generator === true

/** Whether a call is one of the file system's: of what is named `calls`. */
const isOfCalls = (/** @type {Node} */ { callee }) =>
  callee.type === "MemberExpression" &&
  (callee.object.type === "Identifier" ? callee.object.name : callee.object.property?.name) === "calls"

const suffix = "$now"

/** A module whose routines get their twins. */
class Module {
  /** Changes of the module. @type {Array<Edit>} */
  edits = []
  /** Names of routines of other modules that are used here. @type {Set<string>} */
  used = new Set()
  /** Names of routines of this module, and of methods that are some. @type {Set<string>} */
  routines = new Set()
  /** Calls in routines whose values nobody takes. @type {Array<Node>} */
  untaken = []

  /**
   * @param {string} code
   * @param {string} id
   */
  constructor(code, id) {
    this.code = code
    this.id = id
  }

  /**
   * @param {Node} node
   * @param {string} why
   */
  refuse({ start }, why) {
    throw new Error(`${this.id}:${this.code.slice(0, start).split("\n").length}: ${why}`)
  }

  /**
   * @param {Node} node
   * @param {ReadonlyArray<Edit>} edits
   */
  edited({ end, start }, edits) {
    let text = ""
    let from = start
    for (const { at, text: more, to } of edits.toSorted((a, b) => a.at - b.at)) {
      text += this.code.slice(from, at) + more
      from = to
    }
    return text + this.code.slice(from, end)
  }

  /**
   * What makes a plain call of what `yield*` is before.
   *
   * @param {Node} argument
   * @returns {Edit}
   */
  made(argument) {
    const { callee, end, type } = argument
    const isCall = type === "CallExpression"
    if (type === "Identifier" || (isCall && isOfCalls(argument))) return { at: end, to: end, text: ".now()" }
    const name = isCall ? callee.name ?? callee.property?.name : undefined
    if (name === undefined) this.refuse(argument, "`yield*` of something that is neither a call nor a routine")
    const names = callee.type === "Identifier" ? this.used : this.routines
    names.add(name)
    return { at: callee.end, to: callee.end, text: suffix }
  }

  /**
   * What makes a plain text of one of a routine.
   *
   * @param {Node} routine
   * @returns {Array<Edit>}
   */
  plain(routine) {
    /** @type {Array<Edit>} */
    const edits = []
    walk(routine, (node) => {
      const name = isMethod(node)
        ? node.key
        : node.type === "FunctionDeclaration" && node.generator
        ? node.id
        : undefined
      if (name !== undefined) {
        const star = this.code.lastIndexOf("*", name.start)
        edits.push({ at: star, to: star + 1, text: "" }, { at: name.end, to: name.end, text: suffix })
      }
      if (node.type === "ExpressionStatement" && node.expression.type === "CallExpression") {
        this.untaken.push(node.expression)
      }
      if (node.type !== "YieldExpression") return
      if (!node.delegate) this.refuse(node, "a routine says `yield*`")
      edits.push({ at: node.start, to: node.argument.start, text: "" }, this.made(node.argument))
    })
    return edits
  }

  /**
   * @param {Node} node
   * @param {string} text
   */
  add({ end }, text) {
    this.edits.push({ at: end, to: end, text })
  }

  /**
   * Adds the twins of routines in a node, and has `now` call them.
   *
   * @param {Node} node
   */
  visit(node) {
    const declared = node.type === "ExportNamedDeclaration" ? node.declaration : node
    if (declared?.type === "FunctionDeclaration" && declared.generator) {
      this.routines.add(declared.id.name)
      this.add(node, `\n${this.edited(node, this.plain(declared))}`)
    } else if (isMethod(node)) {
      this.routines.add(node.key.name)
      this.add(node, (node.type === "Property" ? ",\n" : "\n") + this.edited(node, this.plain(node)))
    } else if (node.type === "CallExpression" && node.callee.name === "now") this.visitNow(node)
    else for (const child of childrenOf(node)) this.visit(child)
  }

  /** @param {Node} node */
  visitNow(node) {
    const [routine, ...values] = node.arguments
    if (routine?.type !== "Identifier") this.refuse(node, "`now` does a routine by its name")
    this.used.add(routine.name)
    const given = values.length === 0 ? "" : this.code.slice(values[0].start, values.at(-1).end)
    this.edits.push({ at: node.start, to: node.end, text: `${routine.name}${suffix}(${given})` })
  }

  /** @param {Node} program */
  importTwins(program) {
    const specifiers = program["body"].flatMap((/** @type {Node} */ { specifiers, type }) =>
      type === "ImportDeclaration" ? specifiers : []
    )
    for (const specifier of specifiers) {
      const { imported, local, type } = specifier
      if (type !== "ImportSpecifier" || !this.used.has(local.name)) continue
      this.add(specifier, `, ${imported.name}${suffix} as ${local.name}${suffix}`)
    }
  }

  /** Refuses routines that nobody does. The values of others have types, by which `tsc` sees what is forgotten. */
  checkUntaken() {
    for (const call of this.untaken) {
      const { name = call.callee.property?.name } = call.callee
      const isRoutine = isOfCalls(call) ? name !== "closeNow" : this.routines.has(name) || this.used.has(name)
      if (isRoutine) this.refuse(call, `\`yield*\` is missing before ${name}`)
    }
  }
}

/**
 * Adds their twins to the routines of a module.
 *
 * @param {string} code
 * @param {string} id
 */
export const withPlainTwins = (code, id) => {
  /** @type {any} */
  const program = parseAst(code, { lang: id.endsWith(".ts") ? "ts" : "js" })
  const module = new Module(code, id)
  module.visit(program)
  module.checkUntaken()
  module.importTwins(program)
  return module.edited({ ...program, start: 0, end: code.length }, module.edits)
}

/** Adds the twins to what is bundled. @type {import("rolldown").Plugin} */
export const plainRoutines = {
  name: "plainRoutines",
  transform: (code, id) => hasRoutines(code) ? withPlainTwins(code, id) : undefined
}
