// The browser's half: no mistakes, and lines that can be read.
import js from '@eslint/js'

const browser = [
  'Blob', 'Image', 'ImageData', 'OffscreenCanvas', 'ResizeObserver', 'clearInterval', 'clearTimeout',
  'createImageBitmap', 'document', 'getComputedStyle', 'performance', 'setInterval', 'setTimeout', 'window',
]

export default [
  js.configs.recommended,
  {
    files: ['**/*.js'],
    languageOptions: {
      ecmaVersion: 2024,
      sourceType: 'module',
      globals: Object.fromEntries(browser.map(name => [name, 'readonly'])),
    },
    linterOptions: { reportUnusedDisableDirectives: true },
    rules: {
      'complexity': ['error', 15],
      'eqeqeq': 'error',
      'max-len': ['error', 120],
      'max-lines-per-function': ['error', 60],
      'max-params': ['error', 6],
      'max-statements-per-line': ['error', { max: 1 }],
      'no-shadow': 'error',
      'no-var': 'error',
      'prefer-const': 'error',
    },
  },
]
