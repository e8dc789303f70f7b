/**
 * @since 0.1.0
 */
export * as FilePath from "./FilePath.ts"

/**
 * @since 0.1.0
 */
export * as FileTree from "./FileTree.ts"

/**
 * @since 0.1.0
 */
export * as Files from "./Files.ts"

/**
 * @since 0.1.0
 */
export * as FilesError from "./FilesError.ts"

/**
 * @since 0.1.0
 */
export * as FolderListing from "./FolderListing.ts"

/**
 * @since 0.1.0
 */
export * as NodeFiles from "./NodeFiles.ts"

/**
 * @since 0.1.0
 */
export * as TreeCursor from "./TreeCursor.ts"
